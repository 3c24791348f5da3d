"""What is counted: a value per sample, how values become one number, and which way is better."""
