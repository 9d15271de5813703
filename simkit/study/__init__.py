"""What is the story of one command?

`session` tells it on a page: match, compute what is shared, start an engine, open the file, execute, record,
report. `bookkeeping` gathers its circumstances, `execution` is the runs under way, `rounds` decides about further
trials of a point, `after` is what follows.
"""
