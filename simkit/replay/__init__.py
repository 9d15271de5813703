"""Do recorded runs give the same again?

`rerun` executes recorded runs with their own parameters and the present code; `comparison` tells where batches of runs
differ from the recorded ones, for `verify` (runs executed again) as for `simkit diff` (another trajectory's).
"""
