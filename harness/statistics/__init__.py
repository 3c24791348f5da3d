"""Numbers only: intervals, paired tests, power; what a metric's values are."""
