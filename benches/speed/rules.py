"""What sampling rules cost: 64 rows of different rules beside one decode step of Qwen2.5-1.5B.

    python benches/speed/rules.py

CPU seconds of interleaved repetitions in one process, on one thread. The step is that of a model
with random weights in the shape of Qwen2.5-1.5B (28 layers of 1536, V = 151 936), behind a
cache of 64 tokens for each of 64 rows, in float32. Two layers and the head are run; the other 26
layers are as many times the difference that one layer makes. Drawing is timed on the model's own
logits, which are flat, and on peaked ones: greedy, at random without a rule, and with rules; once
whole, and once the rules alone, without the noise and the choice. A draw with rules takes less
than one without, because noise is made only for what they leave.
"""

from __future__ import annotations

import os
import statistics
import time

os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("OMP_NUM_THREADS", "1")

from collections.abc import Callable, Mapping
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from transformers import DynamicCache, Qwen2Config, Qwen2ForCausalLM

from harness.engines.decoding.cutting import applied
from harness.engines.decoding.rules import RowRules, choose
from harness.sampling import registered
from harness.sampling.chosen import SamplingRules

ROWS = 64
CONTEXT = 64
LAYERS = 28
REPETITIONS = 3
DRAWING = 3
"""Rows that are drawn at once, as the engine does with a vocabulary of this size on a CPU."""


def shape(layers: int) -> Qwen2Config:
    """Qwen2.5-1.5B's, with so many layers."""
    return Qwen2Config(
        vocab_size=151_936,
        hidden_size=1536,
        intermediate_size=8960,
        num_hidden_layers=layers,
        num_attention_heads=12,
        num_key_value_heads=2,
        tie_word_embeddings=True,
    )


def step_of(layers: int) -> Callable[[], torch.Tensor]:
    """One decode step of all rows; gives their logits [R, V]."""
    torch.manual_seed(0)
    model = Qwen2ForCausalLM(shape(layers)).eval()
    read = torch.randint(0, 1000, (ROWS, CONTEXT))
    cache = DynamicCache(config=model.config)
    with torch.inference_mode():
        model(read, past_key_values=cache, logits_to_keep=1)

    def step() -> torch.Tensor:
        with torch.inference_mode():
            logits = model(read[:, :1], past_key_values=cache).logits[:, -1]
            cache.crop(-1)
        return torch.as_tensor(logits)

    return step


def rules_of() -> dict[str, list[SamplingRules]]:
    """What the rows of each variant ask for."""
    cuts = {r.name: r.example for r in registered() if r.example is not None and not r.draws}
    each = [{name: value} for name, value in cuts.items()]
    pairs = [one | {"top_p": 0.9} for one in each] + [one | {"top_k": 40} for one in each]
    different = [
        SamplingRules(temperature=0.7 + 0.01 * row, **(each + pairs)[row % (3 * len(each))])
        for row in range(ROWS)
    ]
    plain = [SamplingRules(temperature=0.7 + 0.01 * row) for row in range(ROWS)]
    return {
        "greedy": [SamplingRules()] * ROWS,
        "at random, no rule": plain,
        "64 rows of different rules": different,
        "top_k 40, top_p 0.9, min_p 0.05": [
            SamplingRules(temperature=1.0, top_k=40, top_p=0.9, min_p=0.05)
        ]
        * ROWS,
    }


def drawing(logits: torch.Tensor, rules: list[SamplingRules]) -> dict[str, Callable[[], object]]:
    """The draw of all rows, in the parts that the engine makes of them, and the rules alone."""
    stacked = RowRules.of(rules, logits.device)
    keys, positions = torch.arange(ROWS), torch.zeros(ROWS, dtype=torch.int64)

    parts = [slice(start, start + DRAWING) for start in range(0, ROWS, DRAWING)]
    return {
        "draw": lambda: [choose(logits[p], stacked[p], keys[p], positions[p]) for p in parts],
        "rules": lambda: [applied(logits[p], stacked[p].acting, {}) for p in parts],
    }


def timed(variants: Mapping[str, Callable[[], object]]) -> dict[str, float]:
    """Median CPU seconds of every variant, run in turn, back and forth."""
    times: dict[str, list[float]] = {name: [] for name in variants}
    for run in variants.values():
        run()
    for repetition in range(REPETITIONS):
        for name in list(variants)[:: 1 if repetition % 2 else -1]:
            started = time.process_time()
            variants[name]()
            times[name].append(time.process_time() - started)
    return {name: statistics.median(found) for name, found in times.items()}


def main() -> None:
    """Time them all, and print a table."""
    torch.set_num_threads(1)
    one, two = step_of(1), step_of(2)
    flat = one().float()
    peaked = flat / flat.std() * 3.0
    variants: dict[str, Callable[[], Any]] = {"1 layer": one, "2 layers": two}
    asked = rules_of()
    for kind, logits in (("flat", flat), ("peaked", peaked)):
        for name, rules in asked.items():
            for what, run in drawing(logits, rules).items():
                variants[f"{kind} {what} {name}"] = run
    seconds = timed(variants)
    layer = seconds["2 layers"] - seconds["1 layer"]
    step = seconds["1 layer"] + (LAYERS - 1) * layer
    table = Table(title=f"{ROWS} rows; a decode step takes {step:.2f} s")
    for column in ("logits", "rows", "draw", "of a step", "rules alone", "of a step"):
        table.add_column(column, justify="left" if column in ("logits", "rows") else "right")
    for kind in ("flat", "peaked"):
        for name in asked:
            draw, rules = (seconds[f"{kind} {what} {name}"] for what in ("draw", "rules"))
            numbers = (f"{draw:.3f} s", f"{draw / step:.1%}", f"{rules:.3f} s")
            table.add_row(kind, name, *numbers, f"{rules / step:.1%}")
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
