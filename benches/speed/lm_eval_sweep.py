"""A steering sweep over an lm-eval task: one run of ours against lm-eval's HF backend with a hook.

    python benches/speed/lm_eval_sweep.py
    python benches/speed/lm_eval_sweep.py --model zoo/smollm2 --conditions 4 --documents 20
    python benches/speed/lm_eval_sweep.py --choices --documents 500 --conditions 1
    python benches/speed/lm_eval_sweep.py --model zoo/smollm2 --documents 20 --vllm PYTHON

Conditions are a baseline and doses of a vector behind the middle layer. The peer has one run of
`simple_evaluate` for each, with the model loaded once and a hook that adds the vector at every
position; batch sizes are tried on one condition, and the best one takes all. Half of its conditions
run before ours and half behind, so that a busy machine is busy for both; seconds of processor time
are beside those of the clock. Both have run before, on a few documents or in the trials, so that
nobody's imports count; ours loads its model, stores all answers and writes its report in its time.

`--vllm` names an interpreter with lm-eval and vLLM: one condition more, not steered, of the same
files, by lm-eval's own backend of vLLM in a process of its own, with its start, which is told apart
by a run of one document.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import tempfile
import time
from pathlib import Path
from random import Random
from typing import Any, Self

import torch
import yaml
from lm_eval import utils
from lm_eval.evaluator import simple_evaluate
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager
from safetensors.torch import save_file

import harness
from harness.interventions.vector_file import FORMAT
from harness.models import zoo
from harness.models.loading import load
from harness.models.sites import hidden_shape
from harness.resolve.tasks import task_of
from harness.spec import TaskSettings
from harness.tasks.lm_eval.loading import quiet, sandbox_templates

_TEMPLATES = utils.env


def task(folder: Path, documents: int, *, choices: bool) -> Path:
    """A local task in GSM8K's shape, or one with four answers to choose from, such as `16 books`:
    of several tokens, since of single ones lm-eval reads a context once, too.
    """
    source = task_of(TaskSettings(name="micro_gsm8k"))
    random = Random(0)
    records = [dict(sample.record) for sample in source.samples]
    rows = []
    for number in range(documents + 8):
        record = records[number % len(records)]
        own = int(source.reference(source.samples[number % len(records)]).text.split()[-1])
        (what,) = re.findall(r"How many (\w+)", record["question"])
        options = [f"{own + other} {what}" for other in (0, 1, 10, 7)]
        right = options[0]
        random.shuffle(options)
        rows.append(
            {
                "question": f"({number}) {record['question']}",
                "answer": record["answer"],
                "choices": options,
                "gold": options.index(right),
            }
        )
    for name, some in (("train", rows[:8]), ("test", rows[8:])):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in some))
    own_kind: dict[str, Any] = (
        {
            "output_type": "multiple_choice",
            "doc_to_choice": "choices",
            "doc_to_target": "gold",
            "metric_list": [{"metric": "acc"}],
        }
        if choices
        else {
            "output_type": "generate_until",
            "doc_to_target": "{{answer}}",
            "generation_kwargs": {"until": ["Question:"], "max_gen_toks": 64, "do_sample": False},
            "metric_list": [
                {"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}
            ],
        }
    )
    config = {
        "task": "sweep",
        "dataset_path": "json",
        "dataset_kwargs": {
            "data_files": {each: str(folder / f"{each}.jsonl") for each in ("train", "test")}
        },
        "training_split": "train",
        "test_split": "test",
        "doc_to_text": "Question: {{question}}\nAnswer:",
        "num_fewshot": 5,
        **own_kind,
    }
    (folder / "sweep.yaml").write_text(yaml.safe_dump(config))
    return folder / "sweep.yaml"


def on_vllm(python: Path, model: str, folder: Path, documents: int) -> float:
    """Seconds of a whole process of lm-eval on vLLM, one condition, not steered."""
    source = zoo.resolve(model.removeprefix("zoo/")) if model.startswith("zoo/") else model
    arguments = f"pretrained={source},dtype=float32,enforce_eager=True,max_model_len=2048"
    arguments += ",gpu_memory_utilization=0.2"  # of a machine's memory; 0.9 leaves others none
    command = [str(python), "-m", "lm_eval", "run", "--model", "vllm", "--model_args", arguments]
    command += ["--tasks", "sweep", "--include_path", str(folder), "--limit", str(documents)]
    begun = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - begun


class Clock:
    """Seconds of the clock and of this process."""

    def __enter__(self) -> Self:
        self.wall, self.cpu = -time.perf_counter(), -time.process_time()
        return self

    def __exit__(self, *_: object) -> None:
        self.wall += time.perf_counter()
        self.cpu += time.process_time()

    def __str__(self) -> str:
        return f"{self.wall:.1f} s ({self.cpu:.1f} CPU)"


def peer(
    model: Any, file: Path, alpha: float, vector: torch.Tensor, layer: int, batch: Any
) -> Clock:
    """One condition of lm-eval's: a hook, and a run."""

    def added(_: Any, __: Any, output: Any) -> Any:
        hidden = output[0] if isinstance(output, tuple) else output
        hidden = hidden + alpha * vector
        return (hidden, *output[1:]) if isinstance(output, tuple) else hidden

    hook = model.model.model.layers[layer].register_forward_hook(added)
    try:
        with quiet(), Clock() as clock:
            utils.env = _TEMPLATES  # ours is faster
            lm = HFLM(pretrained=model.model, tokenizer=model.tokenizer, batch_size=batch)
            manager = TaskManager(include_path=str(file.parent), include_defaults=False)
            simple_evaluate(model=lm, tasks=["sweep"], bootstrap_iters=0, task_manager=manager)
    finally:
        hook.remove()
    return clock


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", default="zoo/moe")
    parser.add_argument("--conditions", type=int, default=12)
    parser.add_argument("--documents", type=int, default=200)
    parser.add_argument("--choices", action="store_true")
    parser.add_argument("--batches", default="1,8,32,auto")
    parser.add_argument("--vllm", type=Path, metavar="PYTHON")
    given = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        file = task(folder, given.documents, choices=given.choices)
        model = load(given.model, device="cpu")
        layers, width = hidden_shape(model.model.config)
        layer = layers // 2 - 1
        vector = torch.randn(width, generator=torch.Generator().manual_seed(0))
        metadata = {"format": FORMAT, "site": "block"}
        save_file({f"layer.{layer}": vector}, folder / "vector.safetensors", metadata)
        alphas = [0.05 * number for number in range(given.conditions)]
        batches = [each if each == "auto" else int(each) for each in given.batches.split(",")]
        tried = {each: peer(model, file, alphas[-1], vector, layer, each) for each in batches}
        best = min(tried, key=lambda each: tried[each].wall)
        for each, clock in tried.items():
            print(f"lm-eval, one condition, batch {each}: {clock}")
        before, behind = alphas[: len(alphas) // 2], alphas[len(alphas) // 2 :]
        first = [peer(model, file, alpha, vector, layer, best) for alpha in before]
        ours(given.model, file, folder, alphas, layer, limit=2)
        mine = ours(given.model, file, folder, alphas, layer)
        last = [peer(model, file, alpha, vector, layer, best) for alpha in behind]
        if given.vllm is not None:
            start = on_vllm(given.vllm, given.model, folder, 1)
            whole = on_vllm(given.vllm, given.model, folder, given.documents)
            print(
                f"lm-eval on vLLM, one condition: {whole:.1f} s, of which {start:.1f} s its start"
            )
    wall, cpu = (sum(getattr(each, name) for each in [*first, *last]) for name in ("wall", "cpu"))
    print(f"lm-eval, {len(alphas)} conditions, batch {best}: {wall:.1f} s ({cpu:.1f} CPU)")
    print(f"ours, {len(alphas)} conditions: {mine}")
    print(f"ratio: {wall / mine.wall:.2f} by the clock, {cpu / mine.cpu:.2f} by processor time")


def ours(
    model: str, file: Path, folder: Path, alphas: list[float], layer: int, limit: int | None = None
) -> Clock:
    """The whole sweep, of which nothing is stored; the first dose of none is the baseline."""
    spec: dict[str, Any] = {
        "name": "sweep",
        "model": model,
        "task": {"lm_eval": str(file), **({} if limit is None else {"limit": limit})},
    }
    if alphas[1:]:
        spec["intervention"] = {
            "kind": "steering",
            "vector": {"file": str(folder / "vector.safetensors")},
            "layer": layer,
            "alpha": alphas[1],
            "control": "none",
            "units": "raw",
            "positions": "all",
        }
        spec["axes"] = {"intervention.alpha": alphas[1:]}
    sandbox_templates()
    experiment = harness.Experiment.model_validate(spec)
    own = folder / ("all" if limit is None else "few")
    with Clock() as clock:
        harness.run(experiment, directory=own / "out", store=own / "store")
    return clock


if __name__ == "__main__":
    main()
