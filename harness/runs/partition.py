"""Which worker runs which cases: the same answer in every process, on every machine.

No process deals the cases out. Every worker collects the same ones, computes this partition and
takes its own part of it, and so does every machine of a run that is split by shards. Only the cases
themselves go in: neither what is downloaded nor what is stored may change the answer.
"""

from __future__ import annotations

from collections.abc import Sequence

from harness.models.loading import load_config
from harness.models.size import weights_per_token
from harness.runs.plan import by_model
from harness.runs.planned_case import PlannedCase
from harness.runs.stopping import stopping


def partition(cases: Sequence[PlannedCase], count: int) -> list[list[PlannedCase]]:
    """`count` parts of about equal expected cost, some perhaps empty; each in the given order.

    The cases of a model stay together, so that few workers load it. Only a model whose cost exceeds
    a fair share is cut: into whole shares and a rest, where neighbours share their baselines.
    An experiment that stops itself is one piece: what it asks next depends on all of its doses.
    Pieces then go, the most expensive first, to the part that has least (longest processing time
    first; Graham, "Bounds on multiprocessing timing anomalies", 1969).
    """
    cost = {case.id: expected_cost(case) for case in cases}
    share = sum(cost.values()) / count
    pieces = [
        (sum(cost[case.id] for case in piece), piece)
        for group in by_model(cases).values()
        for piece in _pieces_of(group, cost, share)
    ]
    parts: list[list[PlannedCase]] = [[] for _ in range(count)]
    load = [0] * count
    for piece_cost, piece in sorted(pieces, key=lambda each: -each[0]):
        lightest = load.index(min(load))
        load[lightest] += piece_cost
        parts[lightest] += piece
    position = {case.id: index for index, case in enumerate(cases)}
    return [sorted(part, key=lambda case: position[case.id]) for part in parts]


def _pieces_of(
    cases: Sequence[PlannedCase], cost: dict[str, int], share: float
) -> list[list[PlannedCase]]:
    """The pieces of a model's cases."""
    whole = stopping(cases)
    others = [case for case in cases if case.experiment.name not in whole]
    return [*whole.values(), *_pieces(_by_baseline(others), cost, share)]


def expected_cost(case: PlannedCase) -> int:
    """Passes x weights per token: an upper bound, for comparison among cases only.

    A generated token is a pass; what is scored is one for all of its tokens.
    """
    sampling = case.experiment.sampling
    passes = case.task.size
    if not case.measure.scores:
        passes *= sampling.draws * sampling.max_new_tokens
    return passes * weights_per_token(load_config(case.experiment.model))


def _by_baseline(cases: Sequence[PlannedCase]) -> list[PlannedCase]:
    """Cases of one baseline side by side, so that few cuts make two workers run the same one."""
    first: dict[str, int] = {}
    for case in cases:
        first.setdefault(_baseline(case), len(first))
    return sorted(cases, key=lambda case: first[_baseline(case)])


def _baseline(case: PlannedCase) -> str:
    return case.id if case.case.baseline is None else case.case.baseline.id


def _pieces(
    cases: Sequence[PlannedCase], cost: dict[str, int], share: float
) -> list[list[PlannedCase]]:
    """Cuts where the running cost is nearest to a multiple of the fair share."""
    pieces: list[list[PlannedCase]] = []
    before = 0
    number = -1
    for case in cases:
        # Where the middle of a case lies says which share has most of it.
        own = int((before + cost[case.id] / 2) // share) if share else 0
        before += cost[case.id]
        if own != number:
            pieces.append([])
            number = own
        pieces[-1].append(case)
    return pieces
