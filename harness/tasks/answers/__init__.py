"""Kinds of gold answers, a file each: what a record must have, and which completions are right."""
