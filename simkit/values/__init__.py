"""A value as columns and back: pure, no files."""
