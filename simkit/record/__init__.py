"""Columns to the file and back: the only room that knows HDF5."""
