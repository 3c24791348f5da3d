"""What a run of many draws holds in memory, their ranks and confidence logged token by token.

    python benches/speed/draws.py                      # 102 000 completions
    python benches/speed/draws.py --cases 8            # 13 000

Cases of micro_gsm8k with eight draws of each of 164 samples at a rising temperature, and four
numbers per token. Completions are made up, 32 to 96 tokens long, by an engine that needs no model
and brings those of all cases prompt by prompt, as a real one does; all else is the run's own. Each
line is a process of its own: the run, the same again with everything stored, and what reads the
report. Wall and CPU seconds, and the most memory that the process had resident.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.engines.contract import Completion, Request, Watch
from harness.models.loading import load_tokenizer
from harness.registry import engines
from harness.spec.engine_kind import EngineKind

SPEC = """
name: many_draws
model: zoo/base
engine: {{name: made_up}}
task: {{name: micro_gsm8k, limit: 164}}
sampling: {{draws: 8, max_new_tokens: 96, temperature: 0.7}}
columns: [rank, probability, top_probability, entropy]
axes:
  sampling.temperature: [0.7, 1.0, 1.3, 1.6]
  seed: [{seeds}]
dose: sampling.temperature
"""
SHORTEST, LONGEST = 32, 96
LANES = {
    "import": ("--help",),
    "run": ("run", "many_draws.yaml", "--report", "report", "--store", "store"),
    "again": ("run", "many_draws.yaml", "--report", "second", "--store", "store"),
    "rescore": ("rescore", "report", "--report", "rescored"),
    "draws": ("draws", "report", "-o", "drawn"),
    "parquet": ("export", "report", "--format", "parquet", "-o", "tables"),
    "ranks": ("export", "report", "--format", "ranks", "-o", "ranks"),
}


class MadeUp:
    """An engine whose completions are made up from what is asked, the same every time."""

    fingerprint = "made up"
    determinism: Mapping[str, str] = {"dtype": "float32"}

    def __init__(self, model: str, *_: object) -> None:
        self.watch: Watch | None = None
        self.tokenizer: Any = load_tokenizer(model)
        self._ids = [*range(len(self.tokenizer))]

    def generate(self, requests: Sequence[Request]) -> Iterator[tuple[int, Completion]]:
        """Prompt by prompt, as an engine that shares prefixes orders them."""
        for at in sorted(range(len(requests)), key=lambda at: requests[at].prompt):
            yield at, self._completion(requests[at])

    def _completion(self, request: Request) -> Completion:
        drawn = random.Random(request.key())
        tokens = tuple(drawn.choices(self._ids, k=drawn.randint(SHORTEST, LONGEST)))
        sure = [drawn.random() for _ in tokens]
        own = [p * drawn.random() for p in sure]
        return Completion(
            tokens,
            self.tokenizer.decode(tokens) + f" The answer is {drawn.randrange(30)}.",
            "stop",
            tuple(-10 * p for p in own),
            traces={
                "rank": [float(drawn.randint(1, 20)) for _ in tokens],
                "probability": own,
                "top_probability": sure,
                "entropy": [3 - 3 * p for p in sure],
            },
        )

    def close(self) -> None:
        """Nothing is open."""


ENGINE = EngineKind(
    "made_up",
    "completions without a model",
    settings=frozenset(),
    mechanisms=frozenset(),
    captures=frozenset({"logits"}),
    open=MadeUp,
    check=lambda _: None,
    inputs=lambda *_: "made up",
)


def measured(lane: str, folder: Path) -> tuple[float, float, float]:
    """Wall and CPU seconds of a process, and its peak in MiB."""
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, __file__, "--lane", lane],
        cwd=folder,
        env={"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive", **os.environ},
        stdout=subprocess.DEVNULL,
        stderr=(folder / f"{lane}.log").open("w"),
    )
    _, status, used = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{lane}: failed: {(folder / f'{lane}.log').read_text()[-2000:]}")
    return time.perf_counter() - start, used.ru_utime + used.ru_stime, used.ru_maxrss / 2**10


def main() -> None:
    """Print a line per process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=76, help="beside their baselines")
    parser.add_argument("--lanes", default=",".join(LANES), help="which, by name")
    parser.add_argument("--folder", type=Path, help="keep everything there")
    parser.add_argument("--lane", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.lane is not None:
        from harness.cli.main import main as titrate

        engines.register("made_up", ENGINE)
        sys.exit(titrate(LANES[arguments.lane]))
    with tempfile.TemporaryDirectory() as name:
        folder = (arguments.folder or Path(name)).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        seeds = ", ".join(map(str, range(max(1, arguments.cases // 4))))
        (folder / "many_draws.yaml").write_text(SPEC.format(seeds=seeds))
        for lane in arguments.lanes.split(","):
            wall, cpu, peak = measured(lane, folder)
            print(f"{lane:<10} {wall:7.1f} s  {cpu:7.1f} s of CPU  {peak:7,.0f} MiB", flush=True)


if __name__ == "__main__":
    main()
