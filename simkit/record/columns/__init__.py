"""How do rows of one name lie in HDF5?

`write` takes columns of any type and shape, `datasets` holds the datasets they fill, `layout` reads them back;
`rows` writes and reads the rows of one dataset.
Only `record` imports from here.
"""
