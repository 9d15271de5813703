"""What came of the pendulums: a table, and the path of one of them from the file that its run attached."""

import io

import numpy as np

import simkit

traj = simkit.open("swing")
print(traj.to_dataframe(["period", "swing"]))

run = traj.where("angle == 3 and damping == 0").index[0]
time, angle, velocity = np.loadtxt(io.BytesIO(traj.files(run)["trace.dat"]), unpack=True)
energy = velocity**2 / 2 - np.cos(angle)
print(f"run {run}: {len(time)} points, energy within {np.ptp(energy):.1e}")
for command in traj.commands(run):
    print(f"{command.arguments[0].rpartition('/')[2]}: exit code {command.exit_code}")
