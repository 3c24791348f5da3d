"""Promises of a recovered gap, simulated: how often they are kept, and how often they are refused.

Run it to print the table of `docs/statistics.md` (three minutes): `python -m
tests.statistics.simulated_promises`.

A pool of questions has the verdicts of a weak model, a strong one and a ladder of conditions, from
the most expensive to the cheapest: a condition with a recovered gap of r answers as the strong
model does with a chance of r, else as the weak one does, by one number for all conditions; and a
tenth of the questions is answered otherwise, right or wrong as it was. A split draws the validation
samples from the pool, without replacement; the rest is unseen. The best condition recovers .1 more
than is asked for, so that a promise is possible; the others go down from there.

- kept: the chosen condition recovers the aim in the whole pool, or none is promised; the same of
  the unseen samples alone, which are a sample themselves.
- refused: none is promised.

A cell of the table has the worst of both ladders: the least kept, and the most refused.
"""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray

from harness.statistics.promise import excess, shown

Floats = NDArray[np.float64]

SPLITS = 1000
#: Accuracy of the two models alone: the zoo's, a large gap, and Llama 3.2 1B's and 3.1 8B's (MATH).
MODELS = {"zoo": (0.3, 0.95), "wide": (0.2, 0.7), "llama": (0.28, 0.48)}
AIMS = (0.5, 0.8)
SIZES = (100, 200, 400, 800, 1600, 3200)
#: What each condition recovers beyond the aim. Of the last ladder all but the first break it.
LADDERS = {
    "steps": (0.1, 0.07, 0.04, 0.01, -0.02, -0.05, -0.1),
    "cliff": (0.1, -0.01, -0.01, -0.01),
}
_DISTURBED = 0.1


def pool(weak: float, strong: float, recovered: Floats, size: int) -> tuple[Floats, Floats, Floats]:
    """Verdicts of both models [N] and of every condition [C, N]."""
    rng = np.random.default_rng(round(1000 * (weak + 7 * strong)))
    of_strong = np.arange(size) < round(strong * size)
    # What the weak model can do, the strong one mostly can.
    chances = np.where(of_strong, 0.95 * weak / strong, 0.05 * weak / (1 - strong))
    own = rng.random(size) < chances
    right = np.where(rng.random(size) < recovered[:, None], of_strong, own)
    disturbed = rng.random((len(recovered), size)) < _DISTURBED
    accuracy = right.mean(axis=1, keepdims=True)
    right = np.where(disturbed, rng.random(right.shape) < accuracy, right)
    return own.astype(float), of_strong.astype(float), right.astype(float)


def kept(
    models: str, aim: float, ladder: str, size: int, splits: int = SPLITS
) -> tuple[float, float, float]:
    """Shares of the splits: kept in the pool, kept by the unseen samples, refused."""
    recovered = aim + np.array(LADDERS[ladder])
    whole = max(4 * size, 1319)
    weak, strong, right = pool(*MODELS[models], recovered, whole)
    # The first condition recovers exactly what is said, whatever the draw of the pool.
    right = np.stack(
        [_adjusted(row, weak, strong, r) for row, r in zip(right, recovered, strict=True)]
    )
    rng = np.random.default_rng(size)
    counts = np.zeros(3)
    for _ in range(splits):
        order = rng.permutation(whole)
        seen, unseen = order[:size], order[size:]
        ladder_seen = ((at, row[seen]) for at, row in enumerate(right))
        chosen = None
        for at, _ in shown(ladder_seen, weak[seen], strong[seen], aim):
            chosen = at
        if chosen is None:
            counts += (1, 1, 1)
            continue
        every = excess(right[chosen], weak, strong, aim)
        counts[:2] += (every.mean() >= 0, every[unseen].mean() >= 0)
    return tuple(counts / splits)


def _adjusted(right: Floats, weak: Floats, strong: Floats, recovered: float) -> Floats:
    """A condition's verdicts with some changed, so that the pool recovers exactly so much."""
    wanted = round(float((weak + recovered * (strong - weak)).sum()) + 1e-6)
    rng = np.random.default_rng(int(1e6 * recovered))
    more = wanted - int(right.sum())
    found = right.copy()
    changed = rng.permutation(np.flatnonzero(right == (0 if more > 0 else 1)))[: abs(more)]
    found[changed] = 1 if more > 0 else 0
    return found


def main() -> None:
    """Print the table."""
    print("| models | aim |" + "".join(f" n = {size} |" for size in SIZES))
    print("| --- | --- |" + " --- |" * len(SIZES))
    for models, aim in product(MODELS, AIMS):
        print(f"| {models} | {aim} |", end="", flush=True)
        for size in SIZES:
            found = np.array([kept(models, aim, ladder, size) for ladder in LADDERS])
            worst = (*found[:, :2].min(axis=0), found[:, 2].max())
            print(" " + " ".join(f"{100 * each:.1f}" for each in worst) + " |", end="", flush=True)
        print(flush=True)


if __name__ == "__main__":
    main()
