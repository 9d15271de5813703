"""How do columns get into the file, and out again?

The only room that imports h5py. A `Writer` writes one trajectory (the seam `Pen`), `Recorded` reads one (the seam
`Book`); `Batch` and `Column` pass through the door. Below them stand `columns/`, which lays columns out in HDF5, and
`file/`, a file whose changes count all at once; beside them `merge/`.

A new fact about runs or sessions goes to `facts`, a derived thing to `additions`; `format` says what the file holds.
"""
