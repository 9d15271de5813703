"""Which experiments are there, and does all that they need exist?

Files are found and imported (`targets`, `modules`), functions asked what they need (`signatures`), every name
resolved to what provides it (`resolve`). What passes through the door is a `Plan`: one experiment, checked, with
the code (`code`) and the files (`sources`) that it reaches. Everything that can be wrong is said here, before a run.

A new setting of `[tool.simkit]` goes to `config`, a new sentence about a wrong closure to `problems`.
"""
