"""Kinds of metrics that any task may count beside its own, a file each: `METRIC`, by its name."""
