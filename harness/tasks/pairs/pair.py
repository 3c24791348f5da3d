"""A pair of texts, what may be wrong with one, and the key that names it in every file."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Variant = Literal["agentic", "assisted"]
VARIANTS: tuple[Variant, ...] = ("agentic", "assisted")


@dataclass(frozen=True, slots=True)
class TextPair:
    """Two whole texts that end in the same fenced answer, special tokens written out.

    `shared_request`: the assisted request occurs word for word in the agentic text, as it does in
    the study. The two styles of a task word it differently.
    """

    key: str
    assisted: str
    agentic: str
    shared_request: bool = True


@dataclass(frozen=True, slots=True)
class Unpaired:
    """Why a sample has no pair. `missing`: one of its two sides is not in the files at all."""

    key: str
    reason: str
    missing: bool = False

    def __str__(self) -> str:
        return f"{self.key}: {self.reason}"


def pair_key(sample: str) -> str:
    """`humaneval_12` of `HumanEval/12`; the study's keys, for the ids of any task."""
    return re.sub(r"[^a-z0-9]+", "_", sample.lower()).strip("_")
