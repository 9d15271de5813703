"""How each system does the three workloads.

Each module has ``run(workload, n, folder, form)``, ``load(workload, n, folder)``, which gives the number of each run
(of an array its first element) in the order of the runs, and ``load_one(workload, n, folder, i)``, that of one run.
"""
