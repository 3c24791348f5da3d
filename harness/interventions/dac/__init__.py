"""Dynamic activation composition: how strongly to steer is decided anew for every token."""
