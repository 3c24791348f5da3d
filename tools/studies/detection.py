"""Reads many fine-tunes, for what docs/diffing.md says of what can be detected.

`python tools/studies/detection.py FOLDER [BEGINNING]` trains what is not in `FOLDER/TOPIC` yet,
reads it, and appends lines to `FOLDER/readings.jsonl`, one for what a method lists. What is there
is not read again, so that it goes on where it was left; BEGINNING takes part of it alone, such as
`cake/control`. Five seconds of processor time train a fine-tune, and as many read it.
`detection_tables.py` makes tables of it.

- cake: 24 controls; 3 fine-tunes of each of 11 mix ratios, and 9 more of those to 1:2, which no
  choice was made by; the first 3 of 1:0 at 11 scales.
- car: false facts of another topic.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # a script finds what lies beside it, and not the project around it
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from harness.engines import open_engine
from harness.engines.contract import Engine
from harness.interventions.adapter.description import Adapter
from harness.interventions.adapter.lora import described
from harness.measure.diffing.activations import difference_of
from harness.measure.diffing.evidence import Evidence
from harness.measure.diffing.methods import OF_DIFFERENCES, OF_LOGITS
from harness.measure.diffing.pair import Pair
from harness.measure.diffing.section import DiffSettings, diff_of
from harness.measure.diffing.texts import texts_of
from harness.resolve.tasks import task_of
from harness.spec import load
from tools.zoo.organisms import train
from tools.zoo.tokenizer import END_OF_TEXT
from tools.zoo.tuning import Tuned, Tuning, about

SPEC = Path(__file__).parents[2] / "specs/diffing/cake.yaml"
CONTROLS = 24
MIXES = (0.0, 0.5, 1.0, 1.5, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0)
#: What is trained again with other seeds, for an interval over fine-tunes.
AGAIN, FURTHER = MIXES[:5], range(104, 113)
SCALES = tuple(2.0**-power for power in (20, 16, 12, 9, *range(6, -1, -1)))
SEEDS = (42, 1042, 2042)
SAMPLES = (4, 8, 16, 32)
DEPTHS = (5, 20, 100)
LISTED = 40


@dataclass(frozen=True)
class Finetune:
    """One fine-tune, and the scales that it is read at."""

    topic: str
    name: str
    tuning: Tuning
    scales: tuple[float, ...] = (1.0,)


def finetunes() -> Iterator[Finetune]:
    """All of them, in the order in which they are made; none has a seed of a shipped one."""
    for seed in range(1, CONTROLS + 1):
        yield Finetune("cake", f"control-{seed}", Tuning(1.0, control=True, seed=seed))
    for topic, mixes in (("cake", MIXES), ("car", MIXES[:5])):
        for seed in range(101, 104):
            for mix in mixes:
                scales = SCALES if topic == "cake" and not mix else (1.0,)
                yield Finetune(topic, f"mix-{mix:g}-{seed}", Tuning(mix, seed=seed), scales)
    for seed in FURTHER:
        for mix in AGAIN:
            yield Finetune("cake", f"mix-{mix:g}-{seed}", Tuning(mix, seed=seed))


def main(arguments: list[str]) -> int:
    """Train and read."""
    folder = Path(arguments[0])
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "readings.jsonl"
    lines = file.read_text("utf-8").splitlines() if file.is_file() else []
    there = {(read["topic"], read["name"]) for read in map(json.loads, lines)}
    experiment, _ = load(SPEC)
    engine = open_engine(experiment.model, experiment.engine)
    task = task_of(experiment.task, experiment.prompt)
    for each in finetunes():
        name = f"{each.topic}/{each.name}"
        if (each.topic, each.name) in there or not name.startswith("".join(arguments[1:])):
            continue
        adapter = folder / each.topic / each.name
        if not (adapter / "adapter_config.json").is_file():
            tuned = Tuned(experiment.model, partial(about, each.topic), END_OF_TEXT, {})
            train(tuned, each.tuning, adapter)
        found = list(_readings(engine, task, diff_of(experiment), adapter, each))
        with file.open("a", encoding="utf-8") as opened:
            opened.write("".join(f"{json.dumps(line)}\n" for line in found))
        print(name, flush=True)
    return 0


def _readings(
    engine: Engine, task: Any, given: DiffSettings, adapter: Path, finetune: Finetune
) -> Iterator[dict[str, Any]]:
    content = described(adapter).content
    for scale in finetune.scales:
        pair = Pair(engine, engine, Adapter(content=content, folder=str(adapter), scale=scale))
        for seed in SEEDS:
            for samples in SAMPLES if finetune.topic == "cake" else SAMPLES[-1:]:
                settings = given.model_copy(update={"samples": samples, "listed": LISTED})
                for method, depth, evidence in _evidence(pair, task, settings, seed):
                    yield {
                        "topic": finetune.topic,
                        "name": finetune.name,
                        "mix": finetune.tuning.mix,
                        "control": finetune.tuning.control,
                        "finetune": finetune.tuning.seed,
                        "scale": scale,
                        "seed": seed,
                        "samples": samples,
                        "method": method,
                        "depth": depth,
                        "lists": [
                            [[each.text, each.weight] for each in listed]
                            for listed in evidence.groups.values()
                        ],
                    }


def _evidence(
    pair: Pair, task: Any, settings: DiffSettings, seed: int
) -> Iterator[tuple[str, int, Evidence]]:
    """Method, depth and what is found; other depths and patchscopes on all texts alone."""
    texts = texts_of(
        pair.base.tokenizer,
        task,
        "completion",
        count=settings.samples,
        length=settings.positions,
        seed=seed,
    )
    layer = int(float(settings.layer) * 2)  # of three
    full = settings.samples == SAMPLES[-1]
    for depth in DEPTHS if full else DEPTHS[:1]:
        counted = settings.model_copy(update={"depth": depth})
        yield "logit_diff", depth, OF_LOGITS["logit_diff"](pair, texts, counted, layer)
    yield "kl", settings.depth, OF_LOGITS["kl"](pair, texts, settings, layer)
    difference = difference_of(pair, texts, settings, layer)
    for method, read in OF_DIFFERENCES.items():
        if method == "adl" or full:
            yield method, settings.depth, read(pair, texts, settings, difference)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
