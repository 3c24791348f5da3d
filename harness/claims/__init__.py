"""What is claimed of results: gates, rules, saved runs and comparisons, parsed and judged."""
