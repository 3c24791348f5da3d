"""Processes that end in order: with whom they work for, and on Ctrl-C."""
