"""How do rows of one name lie in HDF5?

`write` takes columns of any type and shape, `datasets` holds the datasets they fill, `layout` reads them back, `chunks`
inflates those that are compressed.
Only `record` imports from here.
"""
