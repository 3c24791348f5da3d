"""How often the intervals of relevance hold the truth: simulated judges, tokens and seeds.

    python tools/studies/relevance.py [RUNS]

prints the table of `docs/diffing.md`. Ratings follow a logistic model: tokens differ (a standard
deviation of 2), judges do by a bias, and a judge's rotations by one of 0.3. The truth is the share
that all such judges find relevant of all such tokens, or of their weight.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from harness.statistics.crossed import crossed_interval, seeds_interval, weighted_crossed_interval
from harness.statistics.intervals import mean_difference_interval

Table = NDArray[np.float64]

RUNS = 1000
SHARES = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9)
TOKENS = (5, 10, 20, 100)
SEEDS = 5
SPREAD, TURN = 2.0, 0.3
_NODES, _MASSES = np.polynomial.hermite_e.hermegauss(60)


class Raters(NamedTuple):
    """Who judges: how many, each in how many rotations, and how much they differ."""

    name: str
    judges: int
    rotations: int
    bias: float

    @property
    def deviation(self) -> float:
        """Of the logits of all their ratings."""
        turn = TURN if self.rotations > 1 else 0.0
        return float(np.sqrt(SPREAD**2 + self.bias**2 + turn**2))


RATERS = (
    Raters("1 judge", 1, 1, 0.0),
    Raters("1 judge, 3 rotations", 1, 3, 0.0),
    Raters("3 judges, bias 0.5", 3, 1, 0.5),
    Raters("3 judges, bias 1", 3, 1, 1.0),
    Raters("3 judges of 3 rotations, bias 1", 3, 3, 1.0),
)
WEIGHTS = ("equal", "exponential", "1 / rank", "heavier if relevant")


def middle(share: float, deviation: float) -> float:
    """The mean logit at which this share of ratings is relevant."""

    def off(mean: float) -> float:
        shares = special.expit(mean + deviation * _NODES)
        return float((_MASSES * shares).sum() / _MASSES.sum()) - share

    return float(optimize.brentq(off, -30, 30))


def rated(
    random: np.random.Generator, raters: Raters, share: float, tokens: Table, judges: Table
) -> Table:
    """Ratings [tokens, raters as metrics have them], of tokens and judges of these effects."""
    turns = random.normal(0, TURN, (len(judges), raters.rotations)) * (raters.rotations > 1)
    logits = middle(share, raters.deviation) + tokens[:, None, None]
    logits = logits + judges[None, :, None] + turns[None]
    said = (random.random(logits.shape) < special.expit(logits)).astype(float)
    found: Table = said.mean(axis=2) if raters.judges > 1 else said[:, 0]
    return found


def weights_of(random: np.random.Generator, kind: str, tokens: Table) -> Table:
    """What tokens of these effects weigh."""
    count = len(tokens)
    if kind == "exponential":
        return random.exponential(size=count)
    if kind == "1 / rank":
        return 1 / np.arange(1.0, count + 1)
    if kind == "heavier if relevant":
        found: Table = np.exp(0.6 * random.normal(size=count) + 0.4 * tokens / SPREAD)
        return found
    return np.ones(count)


def truth(raters: Raters, share: float, kind: str) -> float:
    """The share of the weight that all judges find relevant."""
    if kind != "heavier if relevant":
        return share
    random = np.random.default_rng(1)
    tokens = random.normal(0, SPREAD, 400_000)
    others = np.sqrt(raters.deviation**2 - SPREAD**2) * random.normal(size=len(tokens))
    relevant = special.expit(middle(share, raters.deviation) + tokens + others)
    weights = np.exp(0.4 * tokens / SPREAD)
    return float((weights * relevant).sum() / weights.sum())


def coverage(raters: Raters, tokens: int, share: float, kind: str, runs: int) -> float:
    """Of one reading, in percent; an interval that is not there holds nothing and is left out."""
    random = np.random.default_rng([tokens, round(1000 * share), raters.judges, raters.rotations])
    true, held, known = truth(raters, share, kind), 0, 0
    for _ in range(runs):
        effects = random.normal(0, SPREAD, tokens)
        judges = random.normal(0, raters.bias, raters.judges)
        table = rated(random, raters, share, effects, judges)
        if kind == "equal":
            low, high = crossed_interval(table)
        else:
            weights = weights_of(random, kind, effects)[:, None]
            low, high = weighted_crossed_interval(np.hstack([table * weights, weights]))
        if low is not None and high is not None:
            known += 1
            held += low <= true <= high
    return 100 * held / known


def over_seeds(raters: Raters, tokens: int, share: float, runs: int) -> tuple[float, float]:
    """Of five seeds that the same judges read, by Student's t of the seeds alone, and by the
    interval that points of a sweep have.
    """
    random = np.random.default_rng([tokens, round(1000 * share), raters.judges, 7])
    alone = held = 0
    for _ in range(runs):
        judges = random.normal(0, raters.bias, raters.judges)
        tables = [
            rated(random, raters, share, random.normal(0, SPREAD, tokens), judges)
            for _ in range(SEEDS)
        ]
        values = [float(each.mean()) for each in tables]
        low, high = mean_difference_interval(values)
        alone += low is not None and high is not None and low <= share <= high
        low, high = seeds_interval(values, [crossed_interval(each) for each in tables])
        held += low is not None and high is not None and low <= share <= high
    return 100 * alone / runs, 100 * held / runs


def rows(runs: int) -> Iterator[str]:
    """The tables in Markdown."""
    yield "| weights | raters | " + " | ".join(f"{count} tokens" for count in TOKENS) + " |"
    yield "| --- | --- |" + " --- |" * len(TOKENS)
    for kind in WEIGHTS:
        for raters in RATERS:
            cells = []
            for tokens in TOKENS:
                found = [coverage(raters, tokens, share, kind, runs) for share in SHARES]
                cells.append(f"{np.mean(found):.1f} ({min(found):.0f} to {max(found):.0f})")
            yield f"| {kind} | {raters.name} | " + " | ".join(cells) + " |"
    yield ""
    yield "| five seeds | tokens | Student's t of seeds alone | with raters |"
    yield "| --- | --- | --- | --- |"
    for raters in RATERS[1:]:
        for tokens in TOKENS:
            both = [over_seeds(raters, tokens, share, runs // 2) for share in SHARES[1:]]
            cells = [
                f"{np.mean(each):.1f} ({min(each):.0f} to {max(each):.0f})"
                for each in zip(*both, strict=True)
            ]
            yield f"| {raters.name} | {tokens} | " + " | ".join(cells) + " |"


if __name__ == "__main__":
    for row in rows(int(sys.argv[1]) if len(sys.argv) > 1 else RUNS):
        print(row, flush=True)
