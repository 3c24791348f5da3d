"""Top-k counts of logit differences, streamed: what is kept is a few numbers per token.

D[t, v] = logits of the changed model - logits of the other, on the same tokens. Of every position t
its k largest and its k smallest differences are counted, signed, never by magnitude; of equal ones
the token with the lower id comes first. A position where all of D is the same within rounding says
nothing of any token: it is counted as silent and no token is, so that two equal models give no
evidence, where counting anyhow would name arbitrary tokens.

Shapes: P positions, V tokens of the vocabulary.

Source: Diff mining (science-of-finetuning/diffing-toolkit, method diff_mining).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

#: Differences that rounding may leave, as a share of the largest logit of the position.
_ROUNDING = {"float32": 1e-5, "float64": 1e-9}
_ROUNDING_OF_HALF = 1e-2
#: Positions that are kept of a token, those where it gained most.
EXAMPLES = 3


def rounding_of(dtype: str) -> float:
    """What two equal models may differ by at this precision, as a share of the largest logit."""
    return _ROUNDING.get(dtype, _ROUNDING_OF_HALF)


@dataclass
class TokenCounts:
    """Counts of every token of a vocabulary.

    Args:
        vocabulary: V.
        depth: k; one that is larger than V counts every token.
        rounding: As `rounding_of` says it.

    positive, negative: [V], positions where the token is among the k largest, the k smallest.
    above: [V], positions where its difference is above 0. total: [V], its differences, summed in
    float64. best: [EXAMPLES, V], its largest differences, and `where`, the numbers of the positions
    that these are of, -1 for none. positions, silent: how many there were, and said nothing.
    """

    vocabulary: int
    depth: int
    rounding: float = _ROUNDING["float32"]
    positions: int = 0
    silent: int = 0
    positive: torch.Tensor = field(init=False)
    negative: torch.Tensor = field(init=False)
    above: torch.Tensor = field(init=False)
    total: torch.Tensor = field(init=False)
    best: torch.Tensor = field(init=False)
    where: torch.Tensor = field(init=False)

    def __post_init__(self) -> None:
        self.depth = min(self.depth, self.vocabulary)
        for name in ("positive", "negative", "above"):
            setattr(self, name, torch.zeros(self.vocabulary, dtype=torch.long))
        self.total = torch.zeros(self.vocabulary, dtype=torch.float64)
        self.best = torch.full((EXAMPLES, self.vocabulary), -torch.inf)
        self.where = torch.full((EXAMPLES, self.vocabulary), -1)

    def add(self, differences: torch.Tensor, largest: torch.Tensor, first: int = 0) -> torch.Tensor:
        """Count the positions [P, V], numbered from `first` on.

        Args:
            differences: D.
            largest: [P], the largest magnitude of a logit, which rounding is relative to.
            first: The number of the first position.

        Returns:
            [P, V], whether a token is among the k largest differences of a position.
        """
        spread = differences.amax(-1) - differences.amin(-1)
        speaks = spread > self.rounding * largest
        highest = _leading(differences, self.depth) & speaks[:, None]
        lowest = _leading(-differences, self.depth) & speaks[:, None]
        self.positions += len(differences)
        self.silent += int((~speaks).sum())
        self.positive += highest.sum(0)
        self.negative += lowest.sum(0)
        heard = torch.where(speaks[:, None], differences, torch.zeros(()))
        self.above += (heard > 0).sum(0)
        self.total += heard.double().sum(0)
        numbers = torch.arange(first, first + len(differences))[:, None].expand(-1, self.vocabulary)
        kept = torch.where(speaks[:, None], differences, torch.tensor(-torch.inf))
        values = torch.cat([self.best, kept])
        places = torch.cat([self.where, numbers])
        self.best, order = values.topk(EXAMPLES, dim=0)
        self.where = places.gather(0, order).where(self.best > -torch.inf, torch.tensor(-1))
        return highest

    @property
    def nothing(self) -> bool:
        """Whether no position says anything of any token."""
        return self.silent == self.positions

    @property
    def rate(self) -> torch.Tensor:
        """[V], percent of positions where a token is among the k largest differences."""
        return 100.0 * self.positive.double() / max(self.positions, 1)

    @property
    def mean(self) -> torch.Tensor:
        """[V], the mean difference over positions."""
        return self.total / max(self.positions, 1)

    @property
    def fraction_positive(self) -> torch.Tensor:
        """[V], the share of positions with a difference above 0."""
        return self.above.double() / max(self.positions, 1)


def _leading(values: torch.Tensor, count: int) -> torch.Tensor:
    """[P, V], the `count` largest of each row; of equal ones those that stand first."""
    if count >= values.shape[-1]:
        return torch.ones_like(values, dtype=torch.bool)
    least = values.topk(count, dim=-1).values[:, -1:]
    above, equal = values > least, values == least
    room = count - above.sum(-1, keepdim=True)
    return above | (equal & (equal.cumsum(-1) <= room))
