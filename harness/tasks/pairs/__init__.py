"""The same problem asked twice, agentic and assisted, laid over each other token by token.

`build.py` makes the two texts of every sample, `align.py` lays the assisted one onto the positions
of the agentic one, and `files.py` reads and writes both. Definitions follow the paired-prompt
study of HumanEval (XAI4Agent); `docs/pairs.md` says where and why ours differ.
"""
