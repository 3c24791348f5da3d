"""What many conditions of one long prompt read, relative to one condition.

    python benches/speed/shared_prompts.py --model ./SmolLM2-135M-Instruct

A random prompt of 1 500 tokens, 16 doses of a vector, 8 new tokens: on generated positions alone,
and at every position behind a layer. Tokens read are the engine's own count, in which a token that
went through a part of the layers is that part. Every condition keeps columns of its own, which is
what memory shows: the most that a row's process, forked behind the model, held beyond the model.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import time
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="zoo/moe")
    parser.add_argument("--tokens", type=int, default=1500)
    parser.add_argument("--conditions", type=int, default=16)
    given = parser.parse_args()

    from harness.models.loading import load

    loaded = load(given.model)
    layers = loaded.model.config.get_text_config().num_hidden_layers
    print(
        "| doses at | slots | tokens read | of one | 1 + 15 (1 - L/N) | CPU s | MiB of one | MiB |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    middle = layers // 2
    rows = [("generated", 0, given.conditions), ("generated", 0, None)]
    rows += [("all", layers * part // 4, given.conditions) for part in range(4)]
    rows += [("all", middle, None)]
    for positions, layer, slots in rows:
        one, many = (
            _apart(loaded, given.tokens, _doses(loaded, count, layer, positions), slots)
            for count in (1, given.conditions)
        )
        told = "generated tokens" if positions == "generated" else f"layer {layer} of {layers}"
        bound = 1 + (given.conditions - 1) * (1 - layer / layers) if positions == "all" else 1.1
        print(
            f"| {told} | {slots or 'by default'} | {many[0]:.0f} | {many[0] / one[0]:.2f} "
            f"| {bound:.2f} | {many[1]:.1f} | {one[2]:.0f} | {many[2]:.0f} |",
            flush=True,
        )


def _apart(
    loaded: Any, tokens: int, doses: list[Any], slots: int | None
) -> tuple[float, float, float]:
    """Tokens of prompts that were read, CPU seconds, and MiB, in a process of its own."""
    fork = multiprocessing.get_context("fork")
    ours, theirs = fork.Pipe(duplex=False)

    def work() -> None:
        theirs.send(_run(loaded, tokens, doses, slots))

    process = fork.Process(target=work)
    process.start()
    theirs.close()
    found: tuple[float, float, float] = ours.recv()
    process.join()
    return found


def _doses(loaded: Any, count: int, layer: int, positions: Any) -> list[Any]:
    import torch

    from harness.interventions.array import Array
    from harness.interventions.residual import Term
    from harness.interventions.steering.description import Steering

    width = loaded.model.config.get_text_config().hidden_size
    vector = torch.randn(width, generator=torch.Generator().manual_seed(0))
    term = Term(layer=layer, vector=Array(vector / vector.norm()), alpha=1.0, positions=positions)
    return [
        Steering(terms=(term.model_copy(update={"alpha": 1.0 + number}),))
        for number in range(count)
    ]


def _run(
    loaded: Any, tokens: int, doses: list[Any], slots: int | None
) -> tuple[float, float, float]:
    """Tokens of prompts that were read, CPU seconds, and the most MiB beyond the model."""
    import psutil
    import torch

    from harness.engines.contract import Request
    from harness.engines.transformers.engine import TransformersEngine

    generator = torch.Generator().manual_seed(0)
    words = loaded.model.get_input_embeddings().num_embeddings
    fitting = min(tokens, loaded.context - 8)
    prompt = tuple(torch.randint(4, words, (fitting,), generator=generator).tolist())
    before = psutil.Process().memory_info().rss
    engine = TransformersEngine(loaded, slots=slots)
    asked = [Request(prompt, 8, dose, sample="0") for dose in doses]
    started = time.process_time()
    failed = [each.error for _, each in engine.generate(asked) if each.error]
    if failed:
        raise RuntimeError(failed[0])
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return engine.work.read, time.process_time() - started, (most - before) / 2**20


if __name__ == "__main__":
    main()
