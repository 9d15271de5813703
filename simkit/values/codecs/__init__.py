"""Which libraries' values can be taken apart?

One module per library, imported when the first value of its turns up: `codec_of(kind)` and the mapping `CODECS`.
Reached through `values.registry` only.
"""
