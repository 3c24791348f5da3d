r"""What interventions cost inside vLLM: one process, the same requests, every lane in turn.

    python benches/speed/vllm_engine.py
    python benches/speed/vllm_engine.py --requests 256 --repetitions 5

Lanes: (stock) vLLM as it is, started before anything of ours is in the process; (idle) our engine
with masks on every router and a vector's place in every layer installed, and no request that uses
them; (one) every request under the same mask; (16, 256) that many distinct conditions in the batch,
masks of both modes and steering by turns; (hooks) transformers' `generate` with one steering hook;
(own) our transformers engine with 256 distinct conditions.
Stock runs without our driver; the other lanes of vLLM include it. The model is a mixture of experts
with random weights: what is decoded means nothing, how long it takes does. Ratios are of medians
over interleaved repetitions; CPU seconds tell more than the wall's on a machine that is shared.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
os.environ.setdefault("TORCH_COMPILE_DISABLE", "1")

LAYERS, EXPERTS, WIDTH = 8, 16, 512
PROMPT, NEW = 24, 12


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=256)
    parser.add_argument("--repetitions", type=int, default=5)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        parameters = _write_model(folder)
        lanes = _lanes(folder, given.requests)
        taken = _measure(lanes, given.repetitions)
    print(f"\n{parameters / 1e6:.0f} M parameters, {given.requests} requests of {PROMPT} + {NEW}")
    print(f"tokens, median of {given.repetitions} interleaved repetitions\n")
    print("| lane | CPU s | wall s | of stock, CPU | of stock, wall |\n|---|---|---|---|---|")
    medians = {
        name: [statistics.median(each) for each in zip(*runs, strict=True)]
        for name, runs in taken.items()
    }
    for name, (cpu, wall) in medians.items():
        own = [one / other for one, other in zip((cpu, wall), medians["stock"], strict=True)]
        print(f"| {name} | {cpu:.2f} | {wall:.2f} | {own[0]:.3f} | {own[1]:.3f} |")


def _measure(
    lanes: dict[str, Callable[[], Any]], repetitions: int
) -> dict[str, list[tuple[float, float]]]:
    """CPU and wall seconds of every lane, round by round, after one round that does not count."""
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in lanes}
    for number in range(repetitions + 1):
        for name, lane in lanes.items():
            cpu, wall = time.process_time(), time.perf_counter()
            lane()
            if number:
                taken[name].append((time.process_time() - cpu, time.perf_counter() - wall))
                print(f"{number} {name}: {taken[name][-1][0]:.2f} s", flush=True)
    return taken


def _write_model(folder: str) -> int:
    """A random mixture of experts with the zoo's tokenizer; its parameters are counted."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, Qwen3MoeConfig

    from harness.models import zoo

    torch.manual_seed(0)
    config = Qwen3MoeConfig(
        vocab_size=4096,
        hidden_size=WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=8,
        num_key_value_heads=4,
        head_dim=64,
        intermediate_size=WIDTH,
        moe_intermediate_size=WIDTH,
        num_experts=EXPERTS,
        num_experts_per_tok=2,
        norm_topk_prob=True,
        max_position_embeddings=256,
        eos_token_id=None,
    )
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(zoo.resolve("moe")).save_pretrained(folder)
    return sum(parameter.numel() for parameter in model.parameters())


def _lanes(folder: str, count: int) -> dict[str, Callable[[], Any]]:
    import torch

    from harness.engines.contract import Request

    generator = torch.Generator().manual_seed(0)
    prompts = torch.randint(4, 4096, (count, PROMPT), generator=generator).tolist()
    stock = _stock(folder, prompts)

    from harness.engines.declared import Declared, Steered
    from harness.engines.transformers.engine import TransformersEngine
    from harness.engines.vllm.engine import VllmEngine
    from harness.models.loading import load
    from harness.spec import EngineSettings

    conditions = [_condition(number) for number in range(256)]
    everywhere = Declared(
        masks=True, steered={(layer, "block"): Steered(1) for layer in range(LAYERS)}
    )
    engine = VllmEngine(folder, EngineSettings(name="vllm", slots=count), everywhere)
    loaded = load(folder, dtype="float32")
    own = TransformersEngine(loaded, slots=128, drafts=False)

    def run(engine: Any, distinct: int) -> Callable[[], Any]:
        requests = [
            Request(tuple(prompt), NEW, conditions[number % distinct] if distinct else None)
            for number, prompt in enumerate(prompts)
        ]

        def lane() -> None:
            if engine is not own:
                engine.forget()
            made = dict(engine.generate(requests))
            assert sum(len(each.tokens) for each in made.values()) == count * NEW

        return lane

    return {
        "stock": stock,
        "idle": run(engine, 0),
        "one": run(engine, 1),
        "16": run(engine, 16),
        "256": run(engine, 256),
        "hooks": _hooks(loaded, prompts),
        "own": run(own, 256),
    }


def _stock(folder: str, prompts: list[list[int]]) -> Callable[[], Any]:
    """Stock vLLM: started before our plugin is there, and its model never touched.

    What the plugin later puts in front of a step asks whether the model is ours: it is not.
    """
    os.environ["VLLM_PLUGINS"] = ""
    from vllm import LLM, SamplingParams

    llm = LLM(
        model=folder,
        skip_tokenizer_init=True,
        dtype="float32",
        enforce_eager=True,
        max_model_len=256,
        max_num_seqs=len(prompts),
        max_num_batched_tokens=2048,
        kv_cache_memory_bytes=2**29,
        disable_log_stats=True,
        seed=0,
    )
    parameters = SamplingParams(
        temperature=0, max_tokens=NEW, ignore_eos=True, detokenize=False, logprobs=0
    )
    asked = [{"prompt_token_ids": prompt} for prompt in prompts]

    def lane() -> None:
        llm.reset_prefix_cache()
        made = llm.generate(asked, parameters, use_tqdm=False)
        assert sum(len(each.outputs[0].token_ids) for each in made) == len(prompts) * NEW

    return lane


def _hooks(loaded: Any, prompts: list[list[int]]) -> Callable[[], Any]:
    """Transformers' own loop, one batch, one vector for all rows."""
    import torch

    vector = _condition(1).terms[0].vector.tensor()
    ids = torch.tensor(prompts)
    layer = loaded.model.model.layers[LAYERS // 2]

    @torch.inference_mode()
    def lane() -> None:
        hook = layer.register_forward_hook(lambda _module, _inputs, output: output + vector)
        try:
            loaded.model.generate(ids, max_new_tokens=NEW, do_sample=False, pad_token_id=0)
        finally:
            hook.remove()

    return lane


def _condition(number: int) -> Any:
    """The condition of a number: masks of both modes and steering by turns, no two the same."""
    import torch

    from harness.interventions.array import Array
    from harness.interventions.residual import Term
    from harness.interventions.router_mask.description import RouterMask
    from harness.interventions.steering.description import Steering

    generator = torch.Generator().manual_seed(number)
    if number % 2:
        vector = Array(torch.randn(WIDTH, generator=generator) / 10)
        term = Term(layer=number % LAYERS, vector=vector, alpha=1.0)
        return Steering(terms=(term,))
    experts = torch.rand(LAYERS, EXPERTS, generator=generator).argsort(dim=1)[:, :4].tolist()
    points = tuple((layer, expert) for layer, row in enumerate(experts) for expert in row)
    return RouterMask(points=points, mode="replace_topk" if number % 4 else "keep_topk")


if __name__ == "__main__":
    main()
