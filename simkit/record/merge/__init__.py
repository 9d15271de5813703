"""How do trajectories of one experiment become one?

`merging` is the door. What is to be merged (`inputs`), whether it agrees and where each run goes (`placing`), and
the writing of it (`writing`).
"""
