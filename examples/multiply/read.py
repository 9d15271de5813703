"""Read the newest trajectory of `multiply`: run `simkit .` in this folder first."""

import simkit

traj = simkit.open("multiply")
print(traj)
print("z, a column over the runs:", traj["z"])
print("run 3:", traj.runs[3].x, "*", traj.runs[3].y, "=", traj.runs[3].z)
print("z where x > 2 and y == 7:", traj.where("x > 2 and y == 7")["z"])
print(traj.to_dataframe())
