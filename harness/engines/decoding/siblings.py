"""Sibling drafts: what a completed request of the same sample said next is proposed, then verified.

The conditions of a sweep answer the same question and mostly agree for a while. A row is fed its
last token and a draft in one pass; every drafted token that equals what the row itself draws at
that position, under its own intervention, sampling rules and noise, is kept. Output is therefore
what it is without drafts (speculative decoding by prompt lookup, Saxena 2023, on siblings' texts).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

_ORDERS = (4, 3, 2)
# A sample's completions that are kept for drafting; the latest are the nearest doses.
_MOST_SIBLINGS = 8
# Samples whose completions are kept, so that memory does not grow with a queue.
_MOST_SAMPLES = 4096


@dataclass
class SiblingTexts:
    """What sequences have said, by sample, of the samples that spoke last."""

    _texts: OrderedDict[str, list[tuple[int, ...]]] = field(default_factory=OrderedDict)

    def add(self, sample: str, tokens: tuple[int, ...]) -> None:
        """Remember what a sequence says, instead of how it began; what is known moves on."""
        texts = self._texts.setdefault(sample, [])
        texts[:] = [text for text in texts if text != tokens[: len(text)]]
        texts.append(tokens)
        del texts[:-_MOST_SIBLINGS]
        self._texts.move_to_end(sample)
        if len(self._texts) > _MOST_SAMPLES:
            self._texts.popitem(last=False)

    def knows(self, sample: str) -> bool:
        """Whether there is anything to propose for a sample."""
        return sample in self._texts

    def propose(self, sample: str, tokens: Sequence[int], most: int) -> tuple[int, ...]:
        """Up to `most` tokens that a sibling had after `tokens`.

        A sibling that has agreed so far is followed; otherwise the continuation of the longest
        ending of `tokens` that a sibling contains, nearest to the same position.
        """
        texts = self._texts.get(sample)
        if not texts or most < 1:
            return ()
        length, own = len(tokens), tuple(tokens)
        for text in reversed(texts):
            if len(text) > length and text[:length] == own:
                return text[length : length + most]
        for order in _ORDERS:
            if length < order:
                continue
            ending = own[-order:]
            found = [
                (abs(end - length), text[end : end + most])
                for text in reversed(texts)
                for end in range(order, len(text))
                if text[end - order : end] == ending
            ]
            if found:
                return min(found, key=lambda match: match[0])[1]
        return ()
