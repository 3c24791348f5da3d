"""Two models that read the same tokens: one engine with and without an intervention, or two.

Texts are read in chunks that bound what is in memory, however many there are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import torch

from harness.engines.contract import Activations, Capture, Engine, Reading
from harness.errors import FieldError
from harness.interventions.base import Intervention
from harness.measure.diffing.counts import rounding_of
from harness.measure.diffing.texts import Text

#: Numbers of one model that a chunk brings: its logits, or its hidden states.
_CHUNK = 2**24


@dataclass(frozen=True)
class Pair:
    """A model, and what it is compared with.

    Args:
        base: The engine of the one.
        tuned: The engine of the other; the same where an intervention makes the difference.
        intervention: What is done to `tuned`.
    """

    base: Engine
    tuned: Engine
    intervention: Intervention | None = None

    @property
    def same(self) -> bool:
        """Whether both are one model, to which nothing is done."""
        return self.base is self.tuned and self.intervention is None

    @property
    def rounding(self) -> float:
        """What equal models may differ by, of the coarser precision of the two."""
        return max(rounding_of(each.determinism["dtype"]) for each in (self.base, self.tuned))

    @property
    def words(self) -> int:
        """Tokens that the tokenizer knows; a head may have more."""
        return len(self.base.tokenizer)

    def check(self) -> None:
        """Raise `FieldError` where the two read text as different tokens."""
        if self.base is self.tuned:
            return
        own, other = self.base.tokenizer.get_vocab(), self.tuned.tokenizer.get_vocab()
        common = own.keys() & other.keys()
        differing = [word for word in common if own[word] != other[word]]
        if differing or len(common) < min(len(own), len(other)):
            word = min(differing or own.keys() ^ other.keys())
            raise FieldError(
                "diff.tuned",
                f"the two models have different tokenizers: {word!r} is token "
                f"{own.get(word)} of the one and {other.get(word)} of the other; compare models of "
                "one family",
            )

    def read(
        self, texts: Sequence[Text], capture: Capture, width: int
    ) -> Iterator[tuple[Text, Activations, Activations]]:
        """Each text as both models read it, in order; `width` numbers are captured by position."""
        rest = iter(texts)
        tokens = max(len(text.tokens) for text in texts)
        size = max(1, _CHUNK // (width * tokens))
        while chunk := list(islice(rest, size)):
            readings = [
                Reading(each.tokens, replace(capture, positions=each.positions)) for each in chunk
            ]
            touched = [replace(each, intervention=self.intervention) for each in readings]
            if self.base is self.tuned:
                both = dict(self.base.forward([*readings, *touched]))
                first = [both[at] for at in range(len(chunk))]
                second = [both[at + len(chunk)] for at in range(len(chunk))]
            else:
                own, other = dict(self.base.forward(readings)), dict(self.tuned.forward(touched))
                first = [own[at] for at in range(len(chunk))]
                second = [other[at] for at in range(len(chunk))]
            yield from zip(chunk, first, second, strict=True)


def words_of(pair: Pair, tokens: Sequence[int]) -> list[str]:
    """What tokens say, each by itself."""
    return [str(pair.base.tokenizer.decode([token])) for token in tokens]


def largest_of(*logits: torch.Tensor) -> torch.Tensor:
    """[P], the largest magnitude of any of these [P, V]."""
    return torch.stack([each.abs().amax(-1) for each in logits]).amax(0)
