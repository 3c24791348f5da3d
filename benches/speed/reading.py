"""What reading costs beside a plain forward pass: `nll`, `choice` and `log_odds`.

    python benches/speed/reading.py                       # SmolLM2's shape, random weights
    python benches/speed/reading.py --model zoo/moe
    python benches/speed/reading.py --repetitions 9

The plain pass is the model's own code, with all its logits and nothing done to them, on padded
batches of sequences of the same lengths: a context with all that is scored behind it. Both multiply
by the same kernels, and once more the plain pass by torch's own. CPU seconds of one thread in
float32; interleaved repetitions in one process, every second one in reverse order. Ratios are
medians of pairs: above 1, reading is faster than the plain pass.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack

os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("OMP_NUM_THREADS", "1")

from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from harness.engines.contract import Scoring
from harness.engines.transformers.engine import TransformersEngine
from harness.engines.transformers.experts import experts_as
from harness.engines.transformers.products import packed_products
from harness.models.loading import LoadedModel, load

ROWS = 16

Text = tuple[int, ...]


def shaped() -> LoadedModel:
    """Random weights in SmolLM2-135M's shape; only ids are read, so that any tokenizer does."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=49_152,
        hidden_size=576,
        intermediate_size=1536,
        num_hidden_layers=30,
        num_attention_heads=9,
        num_key_value_heads=3,
        max_position_embeddings=8192,
        tie_word_embeddings=True,
    )
    model = LlamaForCausalLM(config).eval()
    return LoadedModel("random-135m", model, load("zoo/base").tokenizer, "random")


def workloads(words: int, rows: int) -> dict[str, list[Scoring]]:
    """What each measure asks of as many prompts, or texts, as there are rows."""
    drawn = random.Random(0)

    def text(least: int, most: int) -> Text:
        return tuple(drawn.randrange(3, words) for _ in range(drawn.randint(least, most)))

    def behind(least: int, most: int, *lengths: tuple[int, int]) -> list[Scoring]:
        return [
            Scoring(text(least, most), tuple(text(*length) for length in lengths))
            for _ in range(rows)
        ]

    return {
        "nll, texts of 96 to 160 tokens": behind(1, 1, (95, 159)),
        "choice, 4 of 6 to 12 behind 64 to 96": behind(64, 96, *[(6, 12)] * 4),
        "log_odds, 4 of 1 behind 96 to 160": behind(96, 160, *[(1, 1)] * 4),
    }


def fed(scoring: Scoring) -> Text:
    """All that is read of a scoring, as one sequence: no token after which nothing is asked."""
    branches = [token for each in scoring.continuations for token in each[:-1]]
    return (*scoring.context, *branches)


@torch.inference_mode()
def plain(model: Any, sequences: Sequence[Text]) -> None:
    """One padded pass."""
    width = max(map(len, sequences))
    tokens = torch.zeros(len(sequences), width, dtype=torch.long)
    mask = torch.zeros_like(tokens)
    for row, sequence in enumerate(sequences):
        tokens[row, : len(sequence)] = torch.tensor(sequence)
        mask[row, : len(sequence)] = 1
    model(input_ids=tokens, attention_mask=mask, use_cache=False)


def seconds(work: Callable[[], object]) -> float:
    """CPU seconds of a piece of work."""
    started = time.process_time()
    work()
    return time.process_time() - started


def compared(
    loaded: LoadedModel, scorings: Sequence[Scoring], repetitions: int
) -> tuple[float, list[float]]:
    """Tokens per second of reading, and its speed by those of the two plain passes."""
    engine = TransformersEngine(loaded)
    sequences = [fed(each) for each in scorings]

    def alike() -> None:
        with ExitStack() as kernels:
            kernels.enter_context(experts_as(loaded.model, strict=False))
            kernels.enter_context(packed_products(loaded.model))
            plain(loaded.model, sequences)

    lanes: list[Callable[[], object]] = [
        lambda: dict(engine.score(scorings)),
        alike,
        lambda: plain(loaded.model, sequences),
    ]
    taken: list[list[float]] = [[] for _ in lanes]
    for lane in lanes:
        lane()  # what is made once, such as the layout of weights
    for repetition in range(repetitions):
        for number in range(len(lanes))[:: -1 if repetition % 2 else 1]:
            taken[number].append(seconds(lanes[number]))
    own, *others = taken
    tokens = sum(map(len, sequences))
    ratios = [
        statistics.median(one / mine for one, mine in zip(other, own, strict=True))
        for other in others
    ]
    return tokens / statistics.median(own), ratios


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--model", help="a checkpoint; random weights in SmolLM2's shape by default"
    )
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--repetitions", type=int, default=7)
    options = parser.parse_args()
    torch.set_num_threads(1)
    loaded = load(options.model, dtype="float32", device="cpu") if options.model else shaped()
    words = loaded.model.get_input_embeddings().num_embeddings
    table = Table("what is read", "tokens/s", "by plain, same kernels", "by plain, torch's own")
    for name, scorings in workloads(words, options.rows).items():
        speed, ratios = compared(loaded, scorings, options.repetitions)
        table.add_row(name, f"{speed:,.0f}", *(f"{ratio:.2f}" for ratio in ratios))
    Console().print(f"{loaded.reference}, {options.rows} rows", table)


if __name__ == "__main__":
    main()
