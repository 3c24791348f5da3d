"""Processes that end in order: with the process that they work for, and on Ctrl-C."""
