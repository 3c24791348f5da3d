"""Runs whose tasks a cluster starts: SLURM's arrays, or processes of this machine, by submitit."""
