"""How does a file survive a kill, a full disk and other readers?

`Store` is an HDF5 file open for one writer; `transaction` is the file object below HDF5 and `log` the redo log
beside the file; `view` is the file object of readers. Only `record` knows the latter three.
"""
