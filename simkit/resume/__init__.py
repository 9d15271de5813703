"""What of a plan is recorded already?

`continuing` finds the trajectory that a session writes, `points` tells which of its points are recorded, to be
run, or new.
"""
