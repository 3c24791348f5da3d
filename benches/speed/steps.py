"""What a step costs: neutral interventions, and how many different ones are in the batch.

    python benches/speed/steps.py

CPU seconds of interleaved repetitions in one process, every second one in reverse order. Two ratios
are given: the median of paired repetitions, because the machine's speed drifts, and that of the
fastest repetitions, because whatever else runs can only slow one down.
"""

from __future__ import annotations

import itertools
import os
import statistics
import time

os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("OMP_NUM_THREADS", "1")

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from harness.engines.contract import Request
from harness.engines.transformers import engine
from harness.engines.transformers.engine import TransformersEngine
from harness.engines.transformers.loop import DecodingRun
from harness.interventions.array import Array
from harness.interventions.base import Intervention
from harness.interventions.residual import Term
from harness.interventions.router_mask.description import RouterMask
from harness.interventions.router_points import random_points
from harness.interventions.steering.description import Steering
from harness.models.loading import load
from harness.models.routers import router_shape
from harness.models.sites import hidden_shape

ROWS = 256
NEW_TOKENS = 24
REPETITIONS = 15


class TimedRun(DecodingRun):
    """A run that adds up the CPU time of its steps, prompts left out."""

    seconds = 0.0

    def _step(self) -> Any:
        started = time.process_time()
        ended = super()._step()
        TimedRun.seconds += time.process_time() - started
        return ended


def seconds(loaded: Any, requests: Sequence[Request]) -> float:
    """CPU seconds of the steps that decode the requests in one batch."""
    TimedRun.seconds = 0.0
    for _ in TransformersEngine(loaded, slots=len(requests), drafts=False).generate(requests):
        pass
    return TimedRun.seconds


def compare(loaded: Any, variants: Mapping[str, Sequence[Request]]) -> dict[str, list[float]]:
    """Every variant once per repetition, in turn, back and forth."""
    times: dict[str, list[float]] = {name: [] for name in variants}
    for requests in variants.values():
        seconds(loaded, requests)
    for repetition in range(REPETITIONS):
        for name in list(variants)[:: 1 if repetition % 2 else -1]:
            times[name].append(seconds(loaded, variants[name]))
    return times


def main() -> None:
    engine.DecodingRun = TimedRun  # type: ignore[misc]
    loaded = load("zoo/moe")
    loaded.model.generation_config.eos_token_id = None
    shape = router_shape(loaded.model.config)
    _, width = hidden_shape(loaded.model.config)
    prompts = [tuple(300 + (7 * row + i) % 200 for i in range(16)) for row in range(ROWS)]

    def masks(distinct: int) -> list[RouterMask]:
        # Alike but for two points, so that the batches differ in the number of masks and hardly in
        # how evenly the experts are used, which changes the cost of their products by itself.
        ordering = random_points(shape.layers, shape.experts, 0)
        pairs = itertools.combinations(ordering[7:], 2)
        different = [RouterMask(points=(*ordering[:7], *next(pairs))) for _ in range(distinct)]
        return [different[row % distinct] for row in range(ROWS)]

    def vectors(distinct: int) -> list[Steering]:
        # Too weak to change a token, for the same reason.
        drawn = torch.randn(distinct, width, generator=torch.Generator().manual_seed(0))
        different = [Steering(terms=(Term(layer=1, vector=Array(v), alpha=1e-4),)) for v in drawn]
        return [different[row % distinct] for row in range(ROWS)]

    def requests(interventions: Sequence[Intervention | None]) -> list[Request]:
        return [
            Request(prompt, NEW_TOKENS, each, sample=str(row))
            for row, (prompt, each) in enumerate(zip(prompts, interventions, strict=True))
        ]

    variants = {
        "no intervention": requests([None] * ROWS),
        "neutral masks": requests([RouterMask()] * ROWS),
        "neutral vectors": requests([Steering()] * ROWS),
    }
    for distinct in (1, 16, 256):
        variants[f"masks: {distinct}"] = requests(masks(distinct))
        variants[f"vectors: {distinct}"] = requests(vectors(distinct))
    times = compare(loaded, variants)
    table = Table(title=f"zoo/moe, {ROWS} rows, {NEW_TOKENS} tokens, {REPETITIONS} repetitions")
    for title in ("batch", "cpu s", "of no intervention", "fastest", "of one", "fastest"):
        table.add_column(title, justify="left" if title == "batch" else "right")
    for name, own in times.items():
        cells = [f"{statistics.median(own):.3f}"]
        one = times.get(f"{name.partition(':')[0]}: 1", times["no intervention"])
        for other in (times["no intervention"], one):
            paired = statistics.median(a / b for a, b in zip(own, other, strict=True))
            cells += [f"{paired:.3f}", f"{min(own) / min(other):.3f}"]
        table.add_row(name, *cells)
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
