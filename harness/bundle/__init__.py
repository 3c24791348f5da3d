"""A run in one file, and its numbers recomputed from that file alone."""
