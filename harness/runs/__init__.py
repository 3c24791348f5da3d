"""From selected cases to results: what must be run, in which order, and what came of it."""
