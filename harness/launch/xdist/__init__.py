"""Many workers under pytest-xdist: who runs what on which device, and one report of it all."""
