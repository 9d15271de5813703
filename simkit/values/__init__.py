"""How is a value columns, and how does it come back?

Values of one name over many rows are a `Column` of nodes (`columns`): plain rows, ragged ones, lists, records.
`encode` makes columns of Python values, `decode` makes values of columns; a `Codec` (`declare.plugins`, `registry`,
`codecs/`) takes values of one kind apart into named parts and puts them together again; what it can't put together
here is a `Stored` (`instances`). `results` names what a run returned. `compare` tells which values are the same.
A `Batch` is what a number of runs brings back: the currency of engines, files and comparisons. No files here.

Others import any of these but `codecs`. A new type is a `Codec` in the module of its library in `codecs/`.
"""
