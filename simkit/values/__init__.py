"""How is a value columns, and how does it come back?

Values of one name over many rows are a `Column` of nodes (`columns`): plain rows, ragged ones, lists, records.
`encode` makes columns of Python values, `decode` makes values of columns; a `Codec` (`registry`, `codecs/`) takes
values of one kind apart into named parts and puts them together again. `compare` tells which values are the same.
A `Batch` is what a number of runs brings back: the currency of engines, files and comparisons. No files here.

A new type goes to the module of its library in `codecs/`.
"""
