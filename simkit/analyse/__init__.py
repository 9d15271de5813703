"""A recorded trajectory as a place to read."""
