"""Which libraries' values can be taken apart?

One module per library, imported when the first value of its turns up, with a tuple of `Codec`s: ``CODECS``. They are
reached through `values.registry` only, which takes the first that keeps a class. A new type is one more `Codec` here.
"""
