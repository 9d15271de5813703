"""What do users write?

Decorators (`tags`) leave a `Tag` on a function or class and return it unchanged. `explore` and `product` make a
`Space`, a lazy value with an algebra; its `Form` (`forms`) holds the points. `Run` is what an experiment writes
into, `snapshot` keeps a value as it is at this moment, `Codec` (`plugins`) says how values of a type are kept in the
file. Nothing here knows files, processes or how a value is injected.

Others import `Tag`, `Space`, `Form`, `Run`, `expressions`. A new decorator goes to `tags`, a new kind of space to
`forms`, a new hook to `plugins`.
"""
