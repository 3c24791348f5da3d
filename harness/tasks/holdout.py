"""Which generated problems a model may be trained on: a split by content, not by position.

A problem's key says what is asked (operations and constants, or the chain of numbers) and leaves
out how it is worded. One key in eight is held out, for every seed and every machine, so that
training and evaluation stay disjoint without either knowing the other's list.
"""

from __future__ import annotations

import hashlib

_HELD_OUT_SHARE = 8


def is_held_out(key: str) -> bool:
    """Whether problems with this key are kept for evaluation."""
    digest = hashlib.sha256(key.encode()).digest()
    return int.from_bytes(digest[:4], "big") % _HELD_OUT_SHARE == 0
