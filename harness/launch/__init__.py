"""Who runs the parts of a run: this process, or workers of pytest-xdist."""
