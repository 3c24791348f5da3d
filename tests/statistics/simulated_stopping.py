"""Runs that stop themselves, simulated: false alarms, and ED50 where it ends when precise.

Run it to print the tables of `docs/stopping.md` (some minutes): `python -m
tests.statistics.simulated_stopping`. The tests assert bounds on smaller ones.

- False alarms: sweeps of 12 doses in which nothing differs, 164 samples, looked at after every
  chunk of 16. Each dose changes samples with a chance of `changes`, as often up as down; doses
  share their baseline's luck wholly, by half or not at all. An alarm is any dose that is said to
  differ.
- Given up: doses that all samples would just decide, with the fewest losses that do beside so many
  gains. Asked in random orders, how often is one ended early? One dose has `arms` undecided ones
  for its company, which set its bar.
- ED50: sweeps of `simulated_doses`, asked for chunk by chunk until the interval reaches no further
  than so many log2 units to either side, or all samples were asked.
"""

from __future__ import annotations

from itertools import product

import numpy as np

from harness.metrics.lookup import SCORE
from harness.spec.stop import StopSettings
from harness.statistics.sequential import log_evidence
from harness.statistics.stopping import LEAST_CHUNKS, Aims, Arm, Sweep
from tests.statistics.simulated_doses import DOSES, LUCK, ed50s, sweeps, truth

SIZE, LOOK, ARMS = 164, 16, 12
CHANGES = (0.05, 0.2, 0.5)
WITHIN = (0.5, 0.25)


def alarms(changes: float, luck: str, runs: int) -> float:
    """The share of null sweeps with any dose that is said to differ, at any look."""
    rng = np.random.default_rng([round(100 * changes), list(LUCK).index(luck)])
    found = 0
    for _ in range(runs):
        shared = rng.random((SIZE, ARMS)) < LUCK[luck]
        drawn = np.where(shared, rng.random((SIZE, 1)), rng.random((SIZE, ARMS)))
        differences = (drawn < changes / 2).astype(float) - (drawn > 1 - changes / 2)
        # Holm's method rejects something exactly where the smallest p is below alpha by its number.
        looked = [*range(LOOK, SIZE, LOOK), SIZE]
        best = max(
            log_evidence(differences[:, arm], binary=True)[looked].max() for arm in range(ARMS)
        )
        found += best > np.log(ARMS / 0.05)
    return found / runs


def given_up(size: int, arms: int, gains: int, futility: float, runs: int) -> tuple[int, float]:
    """The losses of a dose that all of `size` samples would just decide, and the share of orders in
    which it is ended early.
    """
    losses = fewest(size, arms, gains)
    changes = np.repeat([-1.0, 1.0, 0.0], [losses, gains, size - losses - gains])
    rng = np.random.default_rng([size, arms, gains])
    ended = 0
    for _ in range(runs):
        values = {"dose": rng.permutation(changes), "baseline": np.zeros(size)}
        arm = Arm("dose", "baseline", "", 1.0)
        running = Sweep(
            [arm],
            size,
            {"pass@1": SCORE},
            Aims(("pass@1",)),
            lambda case, _, values=values: values[case],
            0.05 / arms,
            LOOK,
            futility,
        )
        for _ in running.chunks():
            pass
        ended += arm.end == "ended early"
    return losses, ended / runs


def fewest(size: int, arms: int, gains: int) -> int:
    """The fewest losses beside these gains that all samples decide, gains first."""
    for losses in range(gains + 1, size - gains):
        changes = np.repeat([1.0, -1.0], [gains, losses])
        if log_evidence(changes, binary=True)[-1] >= np.log(arms / 0.05):
            return losses
    raise ValueError(f"{size} samples decide nothing beside {gains} gains")


def precise(shape: str, luck: str, within: float, runs: int) -> tuple[float, float, float]:
    """Of sweeps that stop when their ED50 is precise: how often its interval holds the truth, the
    share of runs without one, and the mean share of samples that were asked.
    """
    doses = DOSES[7]
    _, ed50, _ = truth(doses, shape)
    held = given = asked = 0
    for values in sweeps(SIZE, 7, shape, luck, runs):
        low, high, known, taken = stopped(doses, values, within)
        held += int((known & (low <= ed50) & (ed50 <= high)).sum())
        given += int(known.sum())
        asked += int(taken.sum())
    return held / given, 1 - given / runs, asked / runs / SIZE


def stopped(
    doses: tuple[int, ...], values: np.ndarray, within: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """ED50's bounds where each sweep stops, whether it is given, and the samples asked by then."""
    runs = len(values)
    low, high, known = np.zeros(runs), np.zeros(runs), np.zeros(runs, dtype=bool)
    taken = np.zeros(runs, dtype=int)
    going = np.ones(runs, dtype=bool)
    for seen in [*range(LEAST_CHUNKS * LOOK, SIZE, LOOK), SIZE]:
        now = ed50s(doses, values[:, :seen])
        for own, each in zip((low, high, known), now, strict=True):
            own[going] = each[going]
        taken[going] = seen
        with np.errstate(divide="ignore", invalid="ignore"):
            narrow = np.log2(high / low) / 2 <= within
        going &= ~(known & (low > 0) & narrow)
    return low, high, known, taken


def main() -> None:
    """Print both tables, in per cent."""
    print("| changes | shared | half | own |")  # noqa: T201
    print("| --- | --- | --- | --- |")  # noqa: T201
    for changes in CHANGES:
        cells = (f"{100 * alarms(changes, luck, 10_000):.1f}" for luck in LUCK)
        print(f"| {changes:g} | {' | '.join(cells)} |", flush=True)  # noqa: T201
    print()  # noqa: T201
    futilities = (0.01, StopSettings.model_fields["futility"].default)
    print("| samples | undecided doses | losses : gains | 0.01 | 0.001 |")  # noqa: T201
    print("| --- | --- | --- | --- | --- |")  # noqa: T201
    for size, arms, gains in product((164, 500), (5, 12), (0, 20)):
        found = [given_up(size, arms, gains, each, 500) for each in futilities]
        cells = " | ".join(f"{100 * share:.1f}" for _, share in found)
        print(f"| {size} | {arms} | {found[0][0]} : {gains} | {cells} |", flush=True)  # noqa: T201
    print()  # noqa: T201
    print("| curve | luck | within | ED50 held | refused | samples asked |")  # noqa: T201
    print("| --- | --- | --- | --- | --- | --- |")  # noqa: T201
    for shape, luck, within in product(("steep", "flat"), LUCK, WITHIN):
        cells = (f"{100 * each:.1f}" for each in precise(shape, luck, within, 2000))
        print(f"| {shape} | {luck} | {within:g} | {' | '.join(cells)} |", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
