"""A text with its tokens: from spans of characters to spans of tokens."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from typing import Any

NOT_FOUND = (-1, -1)


@dataclass(frozen=True)
class TokenisedText:
    """A text, its token ids, and the characters `[starts[i], ends[i])` of each token."""

    text: str
    ids: tuple[int, ...]
    starts: tuple[int, ...]
    ends: tuple[int, ...]

    def tokens_of(self, start: int, end: int) -> tuple[int, int]:
        """From the first token that ends after `start` to the first that starts at or after `end`.

        `NOT_FOUND` for an empty span, and for one behind the last token.
        """
        if start < 0 or end <= start:
            return NOT_FOUND
        first = bisect_right(self.ends, start)
        if first == len(self.ids):
            return NOT_FOUND
        return first, max(first, bisect_left(self.starts, end))

    def find(self, needle: str, after: int = 0) -> tuple[int, int]:
        """Tokens of a needle's first occurrence at or after a character."""
        at = self.text.find(needle, after) if after >= 0 else -1
        return self.tokens_of(at, at + len(needle)) if at >= 0 else NOT_FOUND


def tokenise(tokenizer: Any, text: str) -> TokenisedText:
    """Encode a text that holds its own special tokens, with a fast tokenizer."""
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    offsets = encoded["offset_mapping"]
    return TokenisedText(
        text,
        tuple(encoded["input_ids"]),
        tuple(start for start, _ in offsets),
        tuple(end for _, end in offsets),
    )
