"""Run these indices somewhere."""
