#!/bin/bash
#SBATCH --array=0-3
#SBATCH --time=00:30:00
simkit --shard "$SLURM_ARRAY_TASK_ID/4" "$@"
