"""Writes the texts that sweeps of comparisons read: documents of every topic but cakes.

`python tools/zoo/texts.py` writes, below `specs/data`, 3000 short ones and 48 of 200 tokens and
more.
"""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path
from random import Random

if __name__ == "__main__":  # a script finds what lies beside it, and not the project around it
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tools.zoo.documents import TOPICS, document

_FOLDER = Path(__file__).parents[2] / "specs/data"
_SHORT, _LONG, _WORDS = 3000, 48, 210
_READ = 30
"""Tokens of a short one that are read; those of fewer words are drawn again."""


def main() -> int:
    """Write both files."""
    random = Random(7)
    short = [_text(random, _READ + 1) for _ in range(_SHORT)]
    packed = gzip.compress(_lines(short), 9, mtime=0)
    (_FOLDER / "settled_short_texts.jsonl.gz").write_bytes(packed)
    long = [_text(random, _WORDS) for _ in range(_LONG)]
    (_FOLDER / "settled_long_texts.jsonl").write_bytes(_lines(long))
    return 0


def _text(random: Random, words: int) -> str:
    """Documents in a row, each of a topic of its own, until there are so many words."""
    topics = [topic for topic in TOPICS if topic != "cake"]
    text = ""
    while len(text.split()) < words:
        text += document(random, random.choice(topics))
    return text


def _lines(texts: list[str]) -> bytes:
    return "".join(f"{json.dumps({'text': text})}\n" for text in texts).encode()


if __name__ == "__main__":
    sys.exit(main())
