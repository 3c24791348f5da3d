"""How long a cluster takes for tasks of very different costs, by simulation: near to the bound."""

from __future__ import annotations

import heapq
import random
from collections.abc import Sequence

import pytest

from harness.launch.cluster.dealing import chunks, shares

LARGEST = 1001  # SLURM's own


def makespan(arrays: Sequence[Sequence[float]], nodes: int, most: int | None = None) -> float:
    """When the last task ends, where SLURM starts tasks of arrays in order as nodes become free.

    With `most`, each array has its share of so many tasks at once.
    """
    share = shares(most, len(arrays))
    waiting = [list(reversed(array)) for array in arrays]
    running = [0] * len(arrays)
    ends: list[tuple[float, int]] = []
    now = 0.0
    while any(waiting) or ends:
        for number, array in enumerate(waiting):
            limit = share[number]
            while array and len(ends) < nodes and (limit is None or running[number] < limit):
                heapq.heappush(ends, (now + array.pop(), number))
                running[number] += 1
        now, number = heapq.heappop(ends)
        running[number] -= 1
    return now


def bound(costs: Sequence[float], nodes: int) -> float:
    """No order of tasks ends before this."""
    return max(max(costs), sum(costs) / nodes)


@pytest.mark.parametrize("skew", [0.5, 1.0, 1.5])
@pytest.mark.parametrize("tasks", [200, 2000, 10_000])
@pytest.mark.parametrize("throttled", [False, True])
def test_the_most_expensive_first_end_within_a_tenth_of_the_bound(skew, tasks, throttled):
    nodes = 64
    for seed in range(3):
        draw = random.Random(seed)
        costs = sorted((draw.lognormvariate(0, skew) for _ in range(tasks)), reverse=True)
        most = nodes if throttled else None
        ended = makespan(chunks(costs, LARGEST, most, float), nodes, most)
        assert ended <= 1.1 * bound(costs, nodes)


def test_the_most_expensive_last_would_not():
    draw = random.Random(0)
    costs = sorted(draw.lognormvariate(0, 1.5) for _ in range(1000))
    assert makespan([costs], 64) > 1.3 * bound(costs, 64)
