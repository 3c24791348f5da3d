"""How near to a device's bandwidth the transformers engine decodes, on models of random weights.

    python benches/speed/gpu.py                  # one large GPU, bfloat16
    python benches/speed/gpu.py --shapes tiny --rows 4 --new-tokens 4 --device cpu

Before anything is measured, a tiny model on the device must say, token for token, what plain
forward passes say on the CPU, one request at a time, without a cache, a hook adding the vector;
under sampling rules, what the engine says there with a single slot. Then, for shapes of
Llama-3.1-8B and Qwen3-30B-A3B, fixed slots: 1, 16 and 256 distinct conditions, greedy, and drawn
under rules, each beside one condition. The bound is what a step must read, the weights in use and
the columns of all rows, at the bandwidth of a copy measured on the same device. No step is captured
as a CUDA graph: the engine has none. Where vLLM is installed, it runs the same shape and rows
without steering, in a process of its own, with graphs: its step is what each further token takes.
"""

from __future__ import annotations

import argparse
import gc
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import torch
from transformers import AutoModelForCausalLM, LlamaConfig, Qwen3MoeConfig

from harness.engines.contract import Request
from harness.engines.transformers.engine import TransformersEngine
from harness.interventions.array import Array
from harness.interventions.residual import Term
from harness.interventions.steering.description import Steering
from harness.models.loading import LoadedModel, load_tokenizer
from harness.sampling.chosen import SamplingRules

_TINY = {"vocab_size": 512, "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
SHAPES = {
    "tiny": lambda: LlamaConfig(**_TINY, intermediate_size=96, num_key_value_heads=1),
    "tiny-moe": lambda: Qwen3MoeConfig(
        **_TINY, num_key_value_heads=1, moe_intermediate_size=32, num_experts=8
    ),
    "llama-3.1-8b": lambda: LlamaConfig(
        vocab_size=128256,
        hidden_size=4096,
        intermediate_size=14336,
        num_hidden_layers=32,
        num_attention_heads=32,
        num_key_value_heads=8,
        max_position_embeddings=131072,
    ),
    "qwen3-30b-a3b": lambda: Qwen3MoeConfig(
        vocab_size=151936,
        hidden_size=2048,
        num_hidden_layers=48,
        num_attention_heads=32,
        num_key_value_heads=4,
        head_dim=128,
        moe_intermediate_size=768,
        num_experts=128,
        num_experts_per_tok=8,
        norm_topk_prob=True,
        max_position_embeddings=40960,
    ),
}
RULES = {
    "greedy": SamplingRules(),
    "temperature, top_p, top_k": SamplingRules(temperature=0.8, top_p=0.95, top_k=50),
}


class Steps:
    """Seconds of the steps of a run, prompts left out."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self._last: float | None = None

    def read(self, tokens: int) -> None:  # noqa: ARG002 - prompts are not timed
        """A prompt was read: the next step has none before it."""
        self._last = None

    def step(self, lengths: Sequence[int]) -> None:  # noqa: ARG002 - all steps are alike
        """The drawn tokens of a step are on the host."""
        now = time.perf_counter()
        if self._last is not None:
            self.seconds.append(now - self._last)
        self._last = now

    def flying(self, lengths: Sequence[int]) -> None:
        """Nothing."""


def random_model(shape: str, device: str, dtype: torch.dtype) -> LoadedModel:
    """A model of a shape, its weights drawn where it is; sequences do not end in it."""
    torch.manual_seed(0)
    with torch.device(device):
        model = AutoModelForCausalLM.from_config(SHAPES[shape](), dtype=dtype).eval()
    model.generation_config.eos_token_id = None
    return LoadedModel(shape, model, load_tokenizer("zoo/moe"), content_hash=shape)


def requests(
    loaded: LoadedModel,
    rows: int,
    conditions: int,
    rules: SamplingRules,
    given: Any,
    alpha: float = 1.0,
) -> list[Request]:
    """As many sequences of random prompts, under so many doses of vectors by turns."""
    text = loaded.model.config.get_text_config()
    generator = torch.Generator().manual_seed(0)
    prompts = torch.randint(4, text.vocab_size, (rows, given.prompt), generator=generator).tolist()
    doses = []
    for number in range(conditions):
        vector = Array(torch.randn(text.hidden_size, generator=generator) / 100)
        layer = number % text.num_hidden_layers
        doses.append(Steering(terms=(Term(layer=layer, vector=vector, alpha=alpha),)))
    return [
        Request(tuple(prompt), given.new_tokens, doses[row % conditions], rules, sample=str(row))
        for row, prompt in enumerate(prompts)
    ]


@torch.inference_mode()
def plain(loaded: LoadedModel, request: Request) -> tuple[int, ...]:
    """Greedy tokens of whole forward passes: no cache, no batch, the vector added by a hook."""
    ids, made = list(request.prompt), []
    (term,) = request.intervention.terms
    block = loaded.model.get_decoder().layers[term.layer]
    vector, first = term.alpha * term.vector.tensor(), len(request.prompt) - 1

    def steer(_module: Any, _inputs: Any, output: Any) -> Any:
        states = output[0] if isinstance(output, tuple) else output
        states[:, first:] += vector
        return output

    hook = block.register_forward_hook(steer)
    try:
        for _ in range(request.max_new_tokens):
            made.append(int(loaded.model(torch.tensor([ids + made])).logits[0, -1].argmax()))
    finally:
        hook.remove()
    return tuple(made)


def check(device: str, given: Any) -> None:
    """Raise where a tiny model's rows on the device say other than each by itself on the CPU."""
    for shape in ("tiny", "tiny-moe"):
        here = random_model(shape, "cpu", torch.float32)
        there = random_model(shape, "cpu", torch.float32)
        there.model.to(device)
        for name, rules in RULES.items():
            asked = requests(here, 6, 3, rules, given, alpha=100.0)  # which changes tokens
            if name == "greedy":
                alone = [plain(here, each) for each in asked]
            else:
                single = dict(TransformersEngine(here, slots=1, drafts=False).generate(asked))
                alone = [single[row].tokens for row in range(len(asked))]
            rows = dict(TransformersEngine(there, slots=6, drafts=False).generate(asked))
            differ = [row for row, own in enumerate(alone) if tuple(rows[row].tokens) != tuple(own)]
            if differ:
                raise RuntimeError(f"{shape}, {name}: requests {differ} differ on {device}")


def bandwidth(device: str) -> float:
    """Bytes per second that a copy reads and writes."""
    source = torch.empty(2**30 if device != "cpu" else 2**26, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    taken = []
    for _ in range(10):
        _finish(device)
        started = time.perf_counter()
        target.copy_(source)
        _finish(device)
        taken.append(time.perf_counter() - started)
    return 2 * source.nbytes / min(taken)


def read_bytes(model: Any, rows: int, columns: float) -> float:
    """What a step of so many rows must read: weights in use, and the columns of every row."""
    text = model.config.get_text_config()
    dim = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    every = sum(each.nbytes for name, each in model.named_parameters() if "embed" not in name)
    experts = sum(each.nbytes for name, each in model.named_parameters() if ".experts." in name)
    kept = 1.0
    if experts:
        kept = 1 - (1 - text.num_experts_per_tok / text.num_experts) ** rows
    column = 2 * text.num_hidden_layers * text.num_key_value_heads * dim * model.dtype.itemsize
    return every - experts * (1 - kept) + rows * columns * column


def _finish(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize()


def measure(shape: str, device: str, speed: float, given: Any) -> None:
    """Print the lines of one shape."""
    dtype = torch.float32 if device == "cpu" else torch.bfloat16
    loaded = random_model(shape, device, dtype)
    least = read_bytes(loaded.model, given.rows, given.prompt + given.new_tokens / 2) / speed
    for name, rules in RULES.items():
        of_one = None
        for conditions in (1, 16, 256):
            engine = TransformersEngine(loaded, slots=given.rows, drafts=False)
            watch = Steps()
            engine.watch = watch
            asked = requests(loaded, given.rows, min(conditions, given.rows), rules, given)
            made = dict(engine.generate(asked))
            broken = next((each.error for each in made.values() if each.error), None)
            if broken:
                raise RuntimeError(broken)
            step = statistics.median(watch.seconds)
            of_one = of_one or step
            _line(shape, name, conditions, step, f"{step / of_one:.2f}", least, given)
    del engine, loaded
    gc.collect()
    if find_spec("vllm"):
        fork = multiprocessing.get_context("spawn")
        ours, theirs = fork.Pipe(duplex=False)
        process = fork.Process(target=_stock, args=(theirs, shape, str(dtype)[6:], given))
        process.start()
        theirs.close()
        try:
            step = ours.recv()
        except EOFError:
            process.join()
            raise RuntimeError(f"vLLM on {shape} ended with {process.exitcode}") from None
        _line(shape, "greedy, stock vLLM", "-", step, "-", least, given)
        process.join()


def _line(
    shape: str, name: str, conditions: Any, step: float, of_one: str, least: float, given: Any
) -> None:
    print(
        f"| {shape} | {name} | {conditions} | {1000 * step:.2f} | {of_one} | "
        f"{given.rows / step:.0f} | {least / step:.0%} |",
        flush=True,
    )


def _stock(pipe: Any, shape: str, dtype: str, given: Any) -> None:
    """Send the seconds of a step of vLLM, on weights of its own making."""
    os.environ |= {"VLLM_PLUGINS": "", "VLLM_ENABLE_V1_MULTIPROCESSING": "0"}
    from vllm import LLM, SamplingParams

    config = SHAPES[shape]()
    moe = isinstance(config, Qwen3MoeConfig)
    config.architectures = ["Qwen3MoeForCausalLM" if moe else "LlamaForCausalLM"]
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(4, config.vocab_size, (given.rows, given.prompt), generator=generator)
    asked = [{"prompt_token_ids": prompt} for prompt in ids.tolist()]
    with tempfile.TemporaryDirectory() as folder:
        config.save_pretrained(folder)
        llm = LLM(
            model=folder,
            load_format="dummy",
            skip_tokenizer_init=True,
            dtype=dtype,
            max_model_len=given.prompt + given.new_tokens,
            max_num_seqs=given.rows,
            enable_prefix_caching=False,
            seed=0,
        )
        taken = {}
        for tokens in (
            given.new_tokens,
            1,
            given.new_tokens,
        ):  # the first pays for what is made once
            rules = SamplingParams(
                temperature=0, max_tokens=tokens, ignore_eos=True, detokenize=False
            )
            started = time.perf_counter()
            llm.generate(asked, rules, use_tqdm=False)
            taken[tokens] = time.perf_counter() - started
    pipe.send((taken[given.new_tokens] - taken[1]) / (given.new_tokens - 1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shapes", default="llama-3.1-8b,qwen3-30b-a3b")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--rows", type=int, default=256)
    parser.add_argument("--prompt", type=int, default=32)
    parser.add_argument("--new-tokens", type=int, default=32)
    given = parser.parse_args()
    check(given.device, given)
    speed = bandwidth(given.device)
    print(f"{given.device}: {speed / 1e9:.0f} GB/s; {given.rows} rows\n")
    print(
        "| shape | rules | conditions | ms per step | of one condition | tokens/s | of the bound |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for shape in given.shapes.split(","):
        measure(shape, given.device, speed, given)


if __name__ == "__main__":
    main()
