"""What a run on a model holds in memory at most, road by road, in a process of its own.

    python benches/speed/memory.py --model zoo/smollm2

Roads that generate are broken off after a few steps, when the cache has its size: short prompts,
then prompts and answers of some length. Behind them scores of texts, and readings of every token.
"""

from __future__ import annotations

import argparse
import resource
from collections.abc import Sequence
from random import Random

import psutil
import torch

from harness.engines.contract import Capture, Reading, Request, Scoring
from harness.engines.transformers.engine import TransformersEngine
from harness.models.loading import load

_MIB = 2**20


class _EnoughError(Exception):
    pass


class _Watch:
    """Breaks off after three steps."""

    steps = 0

    def read(self, _tokens: int) -> None:
        pass

    def flying(self, _lengths: Sequence[int]) -> None:
        pass

    def step(self, _lengths: Sequence[int]) -> None:
        self.steps += 1
        if self.steps > 2:
            raise _EnoughError


def _generate(engine: TransformersEngine, prompts: list[tuple[int, ...]], tokens: int) -> None:
    engine.watch = _Watch()
    try:
        for _ in engine.generate([Request(prompt, tokens) for prompt in prompts]):
            pass
    except _EnoughError:
        pass
    engine.watch = None


def _say(road: str) -> None:
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    now = psutil.Process().memory_info().rss
    print(f"{road:<40} at most {most // _MIB:>6} MiB, now {now // _MIB:>6}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", default="zoo/smollm2")
    given = parser.parse_args()
    torch.set_num_threads(1)
    random = Random(0)
    loaded = load(given.model, device="cpu", dtype="float32")
    words = loaded.model.get_input_embeddings().num_embeddings

    def prompt(length: int) -> tuple[int, ...]:
        return tuple(random.randrange(words) for _ in range(length))

    engine = TransformersEngine(loaded)
    _say("the model, its products laid out")
    _generate(engine, [prompt(random.randint(60, 130)) for _ in range(60)], 64)
    _say("60 prompts of 60-130 tokens, 64 new ones")
    _generate(engine, [prompt(random.randint(150, 300)) for _ in range(96)], 192)
    _say("96 of 150-300 tokens, 192 new ones")
    for _ in engine.score([Scoring(prompt(30), (prompt(470),)) for _ in range(8)]):
        pass
    _say("scores of 8 texts of 500 tokens")
    readings = [Reading(prompt(900), Capture(token_log_probabilities=True)) for _ in range(4)]
    for _ in engine.forward(readings):
        pass
    _say("readings of 4 texts of 900 tokens")


if __name__ == "__main__":
    main()
