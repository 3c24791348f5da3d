"""Steering: a vector times a dose is added to hidden states."""
