"""A plan compiled: one run's arguments, seeds and fixtures."""
