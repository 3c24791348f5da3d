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

LONGEST = 16
_ORDERS = (4, 3, 2)
# A sample's completions that are kept for drafting; the latest are the nearest doses.
_MOST_SIBLINGS = 8
# Samples whose completions are kept, so that memory does not grow with a queue.
_MOST_SAMPLES = 4096


@dataclass
class SiblingTexts:
    """Completed token sequences by sample, of the samples that were completed last."""

    _texts: OrderedDict[str, list[tuple[int, ...]]] = field(default_factory=OrderedDict)

    def add(self, sample: str, tokens: tuple[int, ...]) -> None:
        """Remember what a request that has ended said; what is known moves to the end."""
        texts = self._texts.setdefault(sample, [])
        if tokens in texts:
            texts.remove(tokens)
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


@dataclass
class DraftLength:
    """How many tokens to draft: what an accepted token saves against what a wider pass costs.

    A pass is taken to cost `start + per_token * tokens` seconds, fitted to the passes seen, older
    ones fading. With acceptance probability p per token, g drafted tokens yield
    p + p^2 + ... + p^g accepted ones (Leviathan et al. 2023, equation 1).
    """

    acceptance: float = 0.7
    # Sums of a least-squares line through (tokens, seconds), weighted by age.
    _weight: float = 0.0
    _x: float = 0.0
    _y: float = 0.0
    _xx: float = 0.0
    _xy: float = 0.0

    def observe_pass(self, tokens: int, seconds: float) -> None:
        """A pass over so many tokens (rows x width, padding included) took so long."""
        fade = 0.98
        self._weight = fade * self._weight + 1
        self._x = fade * self._x + tokens
        self._y = fade * self._y + seconds
        self._xx = fade * self._xx + tokens * tokens
        self._xy = fade * self._xy + tokens * seconds

    def observe_draft(self, drafted: int, accepted: int) -> None:
        """Of a draft, so many leading tokens were accepted."""
        tried = min(drafted, accepted + 1)
        if tried:
            self.acceptance += 0.02 * tried * (accepted / tried - self.acceptance)
            self.acceptance = min(max(self.acceptance, 0.0), 0.99)

    def best(self, rows: int, drafting: int, longest: int) -> int:
        """Tokens to draft for the `drafting` of `rows` rows that have a sibling; 0 switches off."""
        start, per_token = self._line()
        if per_token is None:
            return min(longest, 4)

        def speed(length: int) -> float:
            yielded = sum(self.acceptance**power for power in range(1, length + 1))
            return (rows + drafting * yielded) / (start + per_token * rows * (1 + length))

        return max(range(longest + 1), key=speed)

    def _line(self) -> tuple[float, float | None]:
        """Seconds before the first token, and per token; None until two widths were seen."""
        spread = self._weight * self._xx - self._x * self._x
        if self._weight < 4 or spread <= 1e-9 * max(self._xx, 1.0):
            return 0.0, None
        slope = max((self._weight * self._xy - self._x * self._y) / spread, 0.0)
        start = max((self._y - slope * self._x) / self._weight, 0.0)
        return start, slope
