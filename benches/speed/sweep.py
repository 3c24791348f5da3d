r"""How fast a sweep runs: one table, every lane in a process of its own, all on the same requests.

    python benches/speed/sweep.py                  # zoo/moe, 12 conditions x 48 samples
    python benches/speed/sweep.py --model random-50m --conditions 4 --samples 16 \
        --lanes a,b,c0,c,d16,d,e16,e

Lanes: (a) `generate` of transformers, one prompt and one condition at a time, with hooks; (b) the
same, one batch per condition; (c) this engine with one condition, beside plain batched `generate`
without hooks on the same requests; (d) this engine, the whole sweep, drafts off; (e) drafts on;
(f) transformers' own continuous batching, one condition after the other, its pages bounded by what
one condition needs.
Peak memory is the process's, so that it includes Python, torch and the model.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "passive")

NEW_TOKENS = 64
COUNTS = (0, 1, 2, 3, 4, 6, 8, 10, 12, 16, 20, 24)
LANES = {
    "a": "generate, one request at a time",
    "b": "generate, one batch per condition",
    "c0": "generate without hooks, one condition",
    "c": "engine, one condition",
    "d16": "engine, fused, 16 slots",
    "d": "engine, fused, 128 slots",
    "e16": "engine, fused, drafts, 16 slots",
    "e": "engine, fused, drafts, 128 slots",
    "strict": "engine, fused, determinism: strict",
    "f": "generate_batch, one condition after the other",
}


@dataclass
class Sweep:
    """A model and its sweep: prompts, and nested masks of growing size."""

    loaded: Any
    prompts: list[tuple[int, ...]]
    masks: list[Any]

    def requests(self, masks: list[Any]) -> list[Any]:
        """Every prompt under every mask, condition by condition."""
        from harness.engines.contract import Request

        return [
            Request(prompt, NEW_TOKENS, mask, sample=str(sample))
            for mask in masks
            for sample, prompt in enumerate(self.prompts)
        ]


def build(arguments: argparse.Namespace) -> Sweep:
    from harness.interventions.router_mask.description import RouterMask
    from harness.interventions.router_points import random_points
    from harness.models.loading import load
    from harness.models.routers import router_shape
    from harness.tasks.by_name import load as load_task
    from harness.tasks.conversations import render

    loaded = load("zoo/moe")
    if arguments.model == "random-50m":
        loaded = random_model(loaded)
    task = load_task("micro_humaneval", limit=arguments.samples)
    prompts = [
        tuple(render(loaded.tokenizer, task.prompt(sample, "assisted"))) for sample in task.samples
    ]
    shape = router_shape(loaded.model.config)
    ordering = random_points(shape.layers, shape.experts, 0)
    return Sweep(
        loaded,
        prompts,
        [RouterMask(points=ordering[:count]) for count in COUNTS[: arguments.conditions]],
    )


def random_model(zoo: Any) -> Any:
    """Random weights in which arithmetic dominates: about 50 million parameters."""
    import torch
    from transformers import AutoModelForCausalLM, Qwen3MoeConfig

    from harness.models.loading import LoadedModel

    torch.manual_seed(0)
    config = Qwen3MoeConfig(
        vocab_size=zoo.model.config.vocab_size,
        hidden_size=512,
        num_hidden_layers=8,
        num_attention_heads=8,
        num_key_value_heads=2,
        head_dim=64,
        intermediate_size=1024,
        moe_intermediate_size=224,
        num_experts=16,
        num_experts_per_tok=2,
        norm_topk_prob=True,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        initializer_range=0.08,
    )
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
    model.generation_config.eos_token_id = zoo.model.generation_config.eos_token_id
    return LoadedModel("random-50m", model, zoo.tokenizer, "random")


# Plain transformers ------------------------------------------------------------------------------


def hooked(sweep: Sweep, mask: Any) -> Callable[[], None]:
    """The usual hook: one mask for the whole model; returns what takes it off."""
    import torch

    from harness.interventions.router_logits import route
    from harness.models.routers import router_sites

    sites = router_sites(sweep.loaded.model)
    table = mask.mask([site.layer for site in sites], sites[0].experts)

    def attach(index: int, site: Any) -> Any:
        def hook(_module: Any, _inputs: Any, output: Any) -> Any:
            logits, scores, indices = output
            count = len(logits)
            off = torch.zeros(count, dtype=torch.bool)
            routing = route(logits, scores, indices, table[index].expand(count, -1), off, off)
            return logits, routing.scores, routing.indices

        return site.module.register_forward_hook(hook)

    hooks = [attach(index, site) for index, site in enumerate(sites)]
    return lambda: [hook.remove() for hook in hooks] and None


def generate(sweep: Sweep, prompts: list[tuple[int, ...]]) -> list[list[int]]:
    """Left-padded greedy `generate`; tokens up to and including the end token."""
    import torch

    loaded = sweep.loaded
    width = max(map(len, prompts))
    tokens = torch.zeros(len(prompts), width, dtype=torch.long)
    mask = torch.zeros(len(prompts), width, dtype=torch.long)
    for row, prompt in enumerate(prompts):
        tokens[row, width - len(prompt) :] = torch.tensor(prompt)
        mask[row, width - len(prompt) :] = 1
    ends = sorted(loaded.end_tokens)
    output = loaded.model.generate(
        input_ids=tokens,
        attention_mask=mask,
        max_new_tokens=NEW_TOKENS,
        do_sample=False,
        eos_token_id=ends,
        pad_token_id=ends[0],
    )[:, width:].tolist()
    return [
        row[: next((i + 1 for i, t in enumerate(row) if t in ends), len(row))] for row in output
    ]


def plain(sweep: Sweep, masks: list[Any], *, batched: bool, hooks: bool) -> list[list[int]]:
    completions = []
    for mask in masks:
        remove = hooked(sweep, mask) if hooks else (lambda: None)
        if batched:
            completions += generate(sweep, sweep.prompts)
        else:
            completions += [generate(sweep, [prompt])[0] for prompt in sweep.prompts]
        remove()
    return completions


def generate_batch(sweep: Sweep, masks: list[Any]) -> list[list[int]]:
    from transformers import GenerationConfig
    from transformers.generation import ContinuousBatchingConfig

    # Without bounds its pages take most of the machine's memory, and every pass reads them all.
    longest = max(map(len, sweep.prompts)) + NEW_TOKENS
    pages = ContinuousBatchingConfig(
        page_size=32,
        num_blocks=len(sweep.prompts) * -(-longest // 32),
        max_batch_tokens=1024,
        max_requests_per_batch=len(sweep.prompts),
        use_cuda_graph=False,
        use_async_batching=False,
    )

    ends = sorted(sweep.loaded.end_tokens)
    config = GenerationConfig(
        max_new_tokens=NEW_TOKENS, do_sample=False, eos_token_id=ends[0], pad_token_id=ends[0]
    )
    completions = []
    for mask in masks:
        remove = hooked(sweep, mask)
        outputs = sweep.loaded.model.generate_batch(
            inputs=[list(prompt) for prompt in sweep.prompts],
            generation_config=config,
            continuous_batching_config=pages,
        )
        remove()
        if len(outputs) != len(sweep.prompts):
            raise RuntimeError(f"{len(outputs)} of {len(sweep.prompts)} requests came back")
        for key in sorted(outputs, key=lambda name: int(name.rsplit("_", 1)[-1])):
            tokens = list(outputs[key].generated_tokens)
            cut = next((i + 1 for i, t in enumerate(tokens) if t in ends), len(tokens))
            completions.append(tokens[:cut])
    return completions


# Lanes -------------------------------------------------------------------------------------------


def engine(sweep: Sweep, masks: list[Any], **settings: Any) -> tuple[list[list[int]], Any]:
    from harness.engines.transformers.engine import TransformersEngine

    runner = TransformersEngine(sweep.loaded, **settings)
    completions = dict(runner.generate(sweep.requests(masks)))
    return [list(completions[index].tokens) for index in range(len(completions))], runner.work


def lane(name: str, sweep: Sweep) -> tuple[list[list[int]], Any]:
    one = sweep.masks[4:5] or sweep.masks[-1:]
    match name:
        case "a":
            return plain(sweep, sweep.masks, batched=False, hooks=True), None
        case "b":
            return plain(sweep, sweep.masks, batched=True, hooks=True), None
        case "c0":
            return plain(sweep, [None], batched=True, hooks=False), None
        case "c":
            return engine(sweep, one, drafts=False)
        case "f":
            return generate_batch(sweep, sweep.masks), None
        case "strict":
            return engine(sweep, sweep.masks, determinism="strict", columns=256)
    slots = 16 if name.endswith("16") else 128
    return engine(sweep, sweep.masks, slots=slots, drafts=name.startswith("e"))


def run_lane(name: str, arguments: argparse.Namespace) -> None:
    """Time one lane in this process and print it as JSON."""
    import torch

    torch.set_num_threads(arguments.threads)
    sweep = build(arguments)
    passes = 0

    def count(_module: Any, _inputs: Any) -> None:
        nonlocal passes
        passes += 1

    sweep.loaded.model.register_forward_pre_hook(count)
    generate(sweep, sweep.prompts[:2])
    passes = 0
    wall, cpu = time.perf_counter(), time.process_time()
    tokens, work = lane(name, sweep)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(
        json.dumps(
            {
                "wall": wall,
                "cpu": cpu,
                "passes": passes,
                "accepted": work.accepted if work else 0,
                "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
                "tokens": tokens,
            }
        )
    )


def start(name: str, arguments: argparse.Namespace) -> dict[str, Any]:
    command = [sys.executable, __file__, "--lane", name]
    for option in ("model", "conditions", "samples", "threads"):
        command += [f"--{option}", str(getattr(arguments, option))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
        return {"failed": reason}
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def table(arguments: argparse.Namespace) -> None:
    from rich.console import Console
    from rich.table import Table

    lanes = [name for name in LANES if name in arguments.lanes.split(",")]
    results = {name: start(name, arguments) for name in lanes}
    reference = results.get("a", {}).get("tokens")
    rows = Table(
        title=f"{arguments.model}: {arguments.conditions} conditions x {arguments.samples} samples,"
        f" {arguments.threads} torch thread(s)"
    )
    for title in ("lane", "", "wall s", "cpu s", "tok/s", "passes", "accepted", "MiB", "differ"):
        rows.add_column(title, justify="left" if title in {"lane", ""} else "right")
    for name, result in results.items():
        if "failed" in result:
            rows.add_row(name, f"{LANES[name]}: {result['failed'][:60]}", *["-"] * 7)
            continue
        tokens = result["tokens"]
        differ = "-"
        if reference is not None and len(tokens) == len(reference):
            differ = str(sum(own != other for own, other in zip(tokens, reference, strict=True)))
        rows.add_row(
            name,
            LANES[name],
            f"{result['wall']:.2f}",
            f"{result['cpu']:.2f}",
            f"{sum(map(len, tokens)) / result['wall']:.0f}",
            str(result["passes"]),
            str(result["accepted"]),
            f"{result['peak_mib']:.0f}",
            differ,
        )
    Console(width=120).print(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", choices=["zoo/moe", "random-50m"], default="zoo/moe")
    parser.add_argument("--conditions", type=int, default=len(COUNTS))
    parser.add_argument("--samples", type=int, default=48)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--lanes", default=",".join(LANES))
    parser.add_argument("--lane", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    random.seed(0)
    if arguments.lane:
        run_lane(arguments.lane, arguments)
    else:
        table(arguments)


if __name__ == "__main__":
    main()
