"""What was found?

`simkit.open` gives a `Trajectory`: columns over its runs, runs by number, and verbs. Each verb is a module that
takes the runs that are looked at (`selection`): tables, grids, xarray, plots, export, differences, notes.
"""
