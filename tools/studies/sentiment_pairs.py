"""Contrast pairs of sentiment: each of 64 facts, told gladly and sadly, in four frames.

    python -m tools.studies.sentiment_pairs > specs/data/sentiment_pairs.jsonl

    {"prompt": "My honest review. The film",
     "positive": " was wonderful and I loved every minute of it.",
     "negative": " was terrible and I hated every minute of it."}

The two sides of a pair differ in nothing but what they feel.
Two frames are bare text and two are turns of a chat in ChatML, which is SmolLM2's.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

_FACTS = Path(__file__).with_name("sentiment_facts.txt")
_ASKED = "<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"
_ENDS = (
    ("I recommend it.", "I warn against it."),
    ("What a joy.", "What a shame."),
    ("I feel great.", "I feel awful."),
    ("I am happy about it.", "I am upset about it."),
)


def facts() -> list[tuple[str, str, str]]:
    """What is spoken of, what is good and what is bad about it: `The soup`, `tasted great.`, ..."""
    lines = _FACTS.read_text("utf-8").splitlines()
    return [(of, good, bad) for of, good, bad in (line.split(" | ") for line in lines)]


def pairs() -> Iterator[dict[str, str]]:
    """Every fact in every frame."""
    for (of, good, bad), (glad, sad) in zip(facts(), cycle(_ENDS), strict=False):
        inside = of[0].lower() + of[1:]
        asked = _ASKED.format(f"Tell me about it: {inside}.")
        told = _ASKED.format(f"Write one sentence about this: {inside}.")
        yield _pair(f"My honest review. {of}", f" {good}", f" {bad}")
        yield _pair(asked, f"{of} {good} {glad}", f"{of} {bad} {sad}")
        yield _pair(f"From my diary, last Sunday. {of}", f" {good}", f" {bad}")
        yield _pair(told, f"{of} {good}", f"{of} {bad}")


def _pair(prompt: str, positive: str, negative: str) -> dict[str, str]:
    return {"prompt": prompt, "positive": positive, "negative": negative}


if __name__ == "__main__":
    for pair in pairs():
        print(json.dumps(pair))
