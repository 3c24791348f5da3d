"""What adapters cost: one for all rows of a batch against as many as there are rows.

`python benches/speed/adapters.py [MODEL] [ROWS]`: the median, over alternating rounds, of the time
that decoding takes under one adapter and under ROWS different ones, and under none. Their scale is
so small that all say the same.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path

if __name__ == "__main__":  # a script finds what lies beside it, and not the project around it
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import torch

from harness.engines.contract import Request
from harness.engines.transformers.engine import TransformersEngine
from harness.invariants.adapter import RandomFactors, doses
from harness.models.loading import load
from harness.tasks.conversations import render
from harness.tasks.micro_gsm8k import MicroGSM8K

_ROUNDS, _TOKENS, _SCALE = 7, 64, 1e-4


def main(arguments: Sequence[str]) -> int:
    """Print the times, and what different adapters cost beside one."""
    model = arguments[0] if arguments else "zoo/oracle"
    rows = int(arguments[1]) if len(arguments) > 1 else 16
    torch.set_num_threads(1)
    loaded = load(model, device="cpu")
    shapes = doses(loaded.model.config)[1].shapes
    every = [RandomFactors(shapes=shapes, seed=seed, rank=8, scale=_SCALE) for seed in range(rows)]
    mixtures = {"none": [None] * rows, "one": every[:1] * rows, str(rows): every}
    task = MicroGSM8K.load()
    prompts = [
        tuple(render(loaded.tokenizer, task.prompt(sample, "assisted")))
        for sample in task.samples[:rows]
    ]
    engine = TransformersEngine(loaded, slots=rows, drafts=False)
    times: dict[str, list[float]] = {name: [] for name in mixtures}
    for number in range(_ROUNDS + 1):
        for name, used in mixtures.items():
            requests = [
                Request(prompt, _TOKENS, each, seed=number)
                for prompt, each in zip(prompts, used, strict=True)
            ]
            start = time.process_time()
            list(engine.generate(requests))
            if number:  # the first round only warms up
                times[name].append(time.process_time() - start)
    medians = {name: statistics.median(found) for name, found in times.items()}
    for name, seconds in medians.items():
        print(f"{name:>5} adapter(s): {seconds:.3f} s of processor time for {rows} sequences")
    print(f"{rows} adapters cost {medians[str(rows)] / medians['one']:.3f} of one")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
