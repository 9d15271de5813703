"""What was found?

`simkit.open` gives a `Trajectory`: columns over its runs, runs by number, and verbs. It is a façade: behind it stands
a `Selection` (the recorded trajectory, and the numbers of the runs that are looked at), and each verb is a module whose
functions take one. New verbs do so, too; in this room only `open` imports `trajectory`.

`selection` reads columns and finds runs by conditions; `names` gives natural naming; `tables`, `grid`, `xarray`,
`plot`, `export`, `show` and `notes` are verbs; `diff` compares two trajectories.
"""
