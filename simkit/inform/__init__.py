"""Who is told how a study goes?

`Progress` is the state, a `Reporter` shows it: on a terminal, in a notebook, or nowhere. Besides the command and
the page the only room that shows anything.
"""
