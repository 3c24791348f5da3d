"""Tasks of lm-evaluation-harness: found, loaded, asked and counted by its own code."""
