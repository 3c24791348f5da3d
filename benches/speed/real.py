r"""How fast a sweep runs on a real model: one table, every lane in turn on the same requests.

    python benches/speed/real.py --model ./SmolLM2-135M-Instruct
    python benches/speed/real.py --model ./SmolLM2-135M-Instruct --questions gsm8k_test.jsonl \
        --samples 32 --new-tokens 64 --rounds 3

Doses of a random vector, added to the output of the middle layer at every position; greedy.
Lanes: `generate` of transformers, one batch per dose, with a hook; this engine with 32, 64 and 128
slots and with those it chooses; the same in bfloat16; stock vLLM without steering, told to write as
many tokens as each request had; our engine on vLLM, steering. vLLM runs in an installation of its
own (`--vllm`), and is left out where there is none.

Lanes that share a library and a type share a process, one thread each, and take turns, round by
round. The fastest of the rounds is shown, by wall and by CPU seconds. The bound is what the
products alone would take at the speed that they reach by themselves in the same process: `bound`
is its share of the wall seconds. Prefix caching is off in stock vLLM; a vector at every position
leaves ours nothing to find; what doses share in this engine are layers below the vector.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

for name, value in {
    "OMP_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "passive",
    "VLLM_CPU_KVCACHE_SPACE": "2",  # GiB: all hosts are there at once, and by default each takes 4
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_NO_USAGE_STATS": "1",
}.items():
    os.environ.setdefault(name, value)

DOSES = (2.0, 4.0, 8.0, 16.0)
#: Lanes by the process that hosts them; the first one's lengths are what stock vLLM writes.
HOSTS = {
    "float32": ["own", "own 32", "own 64", "own 128", "generate"],
    "bfloat16": ["own bf16"],
    "vllm float32": ["stock"],
    "vllm bfloat16": ["stock bf16"],
    "vllm own": ["own on vllm"],
}
WORDS = {
    "generate": "`generate`, one batch per dose, a hook",
    "own": "this engine, slots by default",
    "own 32": "this engine, 32 slots",
    "own 64": "this engine, 64 slots",
    "own 128": "this engine, 128 slots",
    "own bf16": "this engine, bfloat16",
    "stock": "stock vLLM, not steered",
    "stock bf16": "stock vLLM, not steered, bfloat16",
    "own on vllm": "this engine on vLLM",
}
#: What a lane's seconds are held against: how many times faster than that, or which share of it.
ASKED = {
    "own": (("generate", ">=", 2.6), ("stock", "<=", 1.1)),
    "own bf16": (("stock bf16", "<=", 1.25),),
    "own on vllm": (("stock", "<=", 1.05),),
}


@dataclass(frozen=True)
class Sweep:
    """What every lane is asked; prompts are token ids."""

    model: str
    prompts: list[list[int]]
    new_tokens: int
    eager: bool
    lengths: list[int]
    """Tokens of each completion, dose by dose, once they are known."""

    def steering(self, dose: float, layers: int, width: int) -> Any:
        """A dose of the vector behind the middle layer."""
        from harness.interventions.array import Array
        from harness.interventions.residual import Term
        from harness.interventions.steering.description import Steering

        vector = Array(self.vector(width))
        return Steering(
            terms=(Term(layer=layers // 2, vector=vector, alpha=dose, positions="all"),)
        )

    @staticmethod
    def vector(width: int) -> Any:
        """A random direction, of length 1."""
        import torch

        vector = torch.randn(width, generator=torch.Generator().manual_seed(0))
        return vector / vector.norm()

    def requests(self, layers: int, width: int) -> list[Any]:
        """Every prompt under every dose, dose by dose."""
        from harness.engines.contract import Request

        return [
            Request(tuple(prompt), self.new_tokens, steering, sample=str(sample))
            for steering in (self.steering(dose, layers, width) for dose in DOSES)
            for sample, prompt in enumerate(self.prompts)
        ]


Tokens = list[list[int]]
Lanes = dict[str, Callable[[], Tokens]]


# Hosts -------------------------------------------------------------------------------------------


def host(name: str) -> None:
    """Make a host's lanes, then run the one that each line of the input names."""
    sweep = Sweep(**json.loads(sys.stdin.readline()))
    lanes = _vllm_lanes(name, sweep) if name.startswith("vllm") else _own_lanes(name, sweep)
    for line in sys.stdin:
        wall, cpu = time.perf_counter(), time.process_time()
        tokens = lanes[line.strip()]()
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        print(json.dumps({"wall": wall, "cpu": cpu, "tokens": tokens}), flush=True)


def _own_lanes(dtype: str, sweep: Sweep) -> Lanes:
    import torch

    from harness.engines.transformers.engine import TransformersEngine
    from harness.models.loading import load

    torch.set_num_threads(1)
    loaded = load(sweep.model, dtype=dtype)
    text = loaded.model.config.get_text_config()
    requests = sweep.requests(text.num_hidden_layers, text.hidden_size)

    def own(slots: int | None) -> Callable[[], Tokens]:
        def lane() -> Tokens:
            return _completed(TransformersEngine(loaded, slots=slots), requests)

        return lane

    products = _gigaflops(loaded)
    return {
        "own": own(None),
        "own 32": own(32),
        "own 64": own(64),
        "own 128": own(128),
        "own bf16": own(None),
        "generate": lambda: _generated(loaded, sweep),
        "bound": lambda: [[round(each) for each in products()]],
    }


def _completed(engine: Any, requests: list[Any]) -> Tokens:
    completions = dict(engine.generate(requests))
    failed = next((each.error for each in completions.values() if each.error), None)
    if failed:
        raise RuntimeError(failed)
    return [list(completions[index].tokens) for index in range(len(requests))]


def _generated(loaded: Any, sweep: Sweep) -> Tokens:
    """Left-padded greedy `generate` under one hook per dose; tokens up to the end token."""
    import torch

    width = max(map(len, sweep.prompts))
    ids = torch.zeros(len(sweep.prompts), width, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, prompt in enumerate(sweep.prompts):
        ids[row, width - len(prompt) :] = torch.tensor(prompt)
        mask[row, width - len(prompt) :] = 1
    ends = sorted(loaded.end_tokens)
    text = loaded.model.config.get_text_config()
    layer = loaded.model.get_decoder().layers[text.num_hidden_layers // 2]
    vector = sweep.vector(text.hidden_size)
    made: Tokens = []
    for dose in DOSES:
        hook = layer.register_forward_hook(
            lambda _module, _inputs, output, dose=dose: output + dose * vector
        )
        try:
            output = loaded.model.generate(
                input_ids=ids,
                attention_mask=mask,
                max_new_tokens=sweep.new_tokens,
                do_sample=False,
                eos_token_id=ends,
                pad_token_id=ends[0],
            )[:, width:].tolist()
        finally:
            hook.remove()
        made += [
            row[: next((i + 1 for i, t in enumerate(row) if t in ends), len(row))] for row in output
        ]
    return made


def _vllm_lanes(name: str, sweep: Sweep) -> Lanes:
    if name == "vllm own":
        return {"own on vllm": _own_on_vllm(sweep)}
    dtype = name.split()[1]
    return {"stock" if dtype == "float32" else "stock bf16": _stock(sweep, dtype)}


def _stock(sweep: Sweep, dtype: str) -> Callable[[], Tokens]:
    os.environ["VLLM_PLUGINS"] = ""
    if sweep.eager:
        os.environ["TORCH_COMPILE_DISABLE"] = "1"
    from vllm import LLM, SamplingParams

    llm = LLM(
        model=sweep.model,
        skip_tokenizer_init=True,
        dtype=dtype,
        enforce_eager=sweep.eager,
        max_model_len=max(map(len, sweep.prompts)) + sweep.new_tokens,
        max_num_seqs=128,
        max_num_batched_tokens=2048,
        kv_cache_memory_bytes=2**31,
        enable_prefix_caching=False,
        disable_log_stats=True,
        seed=0,
    )
    asked = [{"prompt_token_ids": prompt} for prompt in sweep.prompts * len(DOSES)]
    parameters = [
        SamplingParams(
            temperature=0, max_tokens=length, ignore_eos=True, detokenize=False, logprobs=0
        )
        for length in sweep.lengths
    ]

    def lane() -> Tokens:
        made = llm.generate(asked, parameters, use_tqdm=False)
        return [list(each.outputs[0].token_ids) for each in made]

    return lane


def _own_on_vllm(sweep: Sweep) -> Callable[[], Tokens]:
    from harness.engines.declared import Declared, Steered
    from harness.engines.vllm.engine import VllmEngine
    from harness.models.loading import load_config
    from harness.spec import EngineSettings

    text = load_config(sweep.model).get_text_config()
    requests = sweep.requests(text.num_hidden_layers, text.hidden_size)
    columns = max(map(len, sweep.prompts)) + sweep.new_tokens
    settings = EngineSettings(
        name="vllm", dtype="float32", slots=128, columns=columns, enforce_eager=sweep.eager
    )
    places = Declared(steered={(text.num_hidden_layers // 2, "block"): Steered(1)})
    engine = VllmEngine(sweep.model, settings, places)

    def lane() -> Tokens:
        engine.forget()
        return _completed(engine, requests)

    return lane


# The bound ---------------------------------------------------------------------------------------


def _gigaflops(loaded: Any) -> Callable[[], list[float]]:
    """The speed of a model's products by themselves, in GFLOP/s: of its layers', of its head's.

    128 rows at a time, by torch's own kernels and by oneDNN's: the faster ones count.
    """
    import torch

    weights = [each.weight for each in loaded.model.get_decoder().modules() if _is_linear(each)]
    shapes = {tuple(weight.shape): weight for weight in weights}
    head = loaded.model.get_output_embeddings().weight

    def fastest(weight: Any) -> float:
        inputs = torch.randn(128, weight.shape[1]).to(weight.dtype)
        laid = torch.ops.mkldnn._reorder_linear_weight(weight.detach(), None)  # noqa: SLF001
        ways = (
            lambda: torch.nn.functional.linear(inputs, weight),
            lambda: torch.ops.mkldnn._linear_pointwise(  # noqa: SLF001
                inputs, laid, None, "none", [], ""
            ),
        )
        return min(_seconds(way) for way in ways for _ in range(5))

    @torch.inference_mode()
    def measure() -> list[float]:
        each = {shape: fastest(weight) for shape, weight in shapes.items()}
        taken = sum(each[tuple(weight.shape)] for weight in weights)
        layers = 256 * sum(weight.numel() for weight in weights) / taken
        return [layers / 1e9, 256 * head.numel() / fastest(head) / 1e9]

    return measure


def _is_linear(module: Any) -> bool:
    return type(module).__name__ == "Linear"


def _seconds(work: Callable[[], Any]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _flops(sweep: Sweep, tokens: int) -> tuple[float, float]:
    """Of all products with the weights: those of the layers, and those of the head."""
    from harness.models.loading import load_config

    text = load_config(sweep.model).get_text_config()
    width, inner = text.hidden_size, text.intermediate_size
    dim = getattr(text, "head_dim", None) or width // text.num_attention_heads
    attention = 2 * width * dim * (text.num_attention_heads + text.num_key_value_heads)
    layers = text.num_hidden_layers * (attention + 3 * width * inner)
    # The last token of a completion is drawn and never fed.
    fed = len(DOSES) * sum(map(len, sweep.prompts)) + tokens - len(sweep.prompts) * len(DOSES)
    return 2.0 * layers * fed, 2.0 * width * text.vocab_size * tokens


# The table ---------------------------------------------------------------------------------------


class Host:
    """A process that runs lanes."""

    def __init__(self, python: str, name: str, sweep: Sweep) -> None:
        root = Path(__file__).resolve().parents[2]
        self._process = subprocess.Popen(
            [python, __file__, "--host", name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(root)},
        )
        self._tell(json.dumps(asdict(sweep)))

    def run(self, lane: str) -> dict[str, Any]:
        """Seconds and tokens of one run; what libraries print in between is passed over."""
        self._tell(lane)
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith('{"wall"'):
                result: dict[str, Any] = json.loads(line)
                return result
        raise RuntimeError(f"the process of {lane} ended with {self._process.wait()}")

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()


def measure(given: argparse.Namespace) -> None:
    """Run all lanes in turn, and print the table."""
    sweep = Sweep(given.model, _prompts(given), given.new_tokens, given.eager, [])
    lanes = [(host, lane) for host, own in HOSTS.items() for lane in own if _wanted(given, lane)]
    own = Host(sys.executable, "float32", sweep)
    # Not timed: how many tokens stock vLLM is to write, and the tokens that others are held to.
    reference = own.run("generate" if _wanted(given, "generate") else "own")["tokens"]
    sweep = Sweep(**{**asdict(sweep), "lengths": [len(tokens) for tokens in reference]})
    hosts = {"float32": own}
    for name in dict.fromkeys(host for host, _ in lanes):
        if name not in hosts:
            python = given.vllm if name.startswith("vllm") else sys.executable
            hosts[name] = Host(python, name, sweep)
            hosts[name].run(HOSTS[name][0])  # the first run pays for what is made once
    runs: dict[str, list[dict[str, Any]]] = {lane: [] for _, lane in lanes}
    bounds: dict[str, list[list[int]]] = {"float32": [], "bfloat16": []}
    for number in range(given.rounds):
        for name, lane in lanes:
            runs[lane].append(hosts[name].run(lane))
            print(f"{number} {lane}: {runs[lane][-1]['wall']:.2f} s", file=sys.stderr)
        for kind in bounds.keys() & hosts.keys():
            bounds[kind].append(hosts[kind].run("bound")["tokens"][0])
    for each in hosts.values():
        each.close()
    _print(sweep, reference, runs, bounds)


def _wanted(given: argparse.Namespace, lane: str) -> bool:
    if "vllm" in WORDS[lane].lower() and not Path(given.vllm).exists():
        return False
    return given.lanes is None or lane in given.lanes.split(",")


def _prompts(given: argparse.Namespace) -> list[list[int]]:
    """Questions as a user's turn: of a file of GSM8K's format, or micro_gsm8k's own."""
    from harness.models.loading import load_tokenizer
    from harness.tasks.by_name import load as load_task
    from harness.tasks.conversations import render
    from harness.tasks.gsm8k import GSM8K

    task = GSM8K.load(given.questions) if given.questions else load_task("micro_gsm8k")
    tokenizer = load_tokenizer(given.model)
    samples = task.samples[: given.samples]
    return [list(render(tokenizer, task.prompt(sample, "assisted"))) for sample in samples]


def _print(
    sweep: Sweep,
    reference: Tokens,
    runs: dict[str, list[dict[str, Any]]],
    bounds: dict[str, list[list[int]]],
) -> None:
    made = sum(map(len, reference))
    prompts = len(DOSES) * sum(map(len, sweep.prompts))
    layers, head = _flops(sweep, made)
    print(
        f"{len(sweep.prompts)} prompts x {len(DOSES)} doses: {prompts} tokens of prompts, {made} "
        f"generated; products: {layers / 1e12:.2f} TFLOP in the layers, {head / 1e12:.2f} in the "
        "head"
    )
    least = {}
    for kind, found in bounds.items():
        if found:
            fastest = [max(speeds) for speeds in zip(*found, strict=True)]
            least[kind] = layers / fastest[0] / 1e9 + head / fastest[1] / 1e9
            print(f"bound in {kind}: {least[kind]:.1f} s, at {fastest[0]} and {fastest[1]} GFLOP/s")
    print("\n| lane | wall s | cpu s | tokens/s | of `generate` | bound | differ | asked |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    walls = {lane: min(each["wall"] for each in found) for lane, found in runs.items()}
    usual = min((each["wall"] for each in runs.get("generate", [])), default=0.0)
    for lane, found in runs.items():
        wall, cpu = (min(each[key] for each in found) for key in ("wall", "cpu"))
        tokens = found[0]["tokens"]
        kind = "bfloat16" if "bf16" in lane else "float32"
        steered = "stock" not in lane
        differ = sum(one != other for one, other in zip(tokens, reference, strict=True))
        cells = (
            WORDS[lane],
            f"{wall:.2f}",
            f"{cpu:.2f}",
            f"{sum(map(len, tokens)) / wall:.0f}",
            f"{usual / wall:.2f}x" if usual else "-",
            f"{least[kind] / wall:.0%}" if kind in least else "-",
            str(differ) if steered else "-",
            bars(lane, walls) or "-",
        )
        print(f"| {' | '.join(cells)} |")


def bars(lane: str, walls: dict[str, float]) -> str:
    """What is asked of a lane beside others that were run, and what it reached."""
    told = []
    for other, sign, bar in ASKED.get(lane, ()):
        if other in walls:
            faster = sign == ">="
            found = walls[other] / walls[lane] if faster else walls[lane] / walls[other]
            met = "met" if (found >= bar if faster else found <= bar) else "missed"
            told.append(f"{sign} {bar:g}x of {other}: {found:.2f}x, {met}")
    return "; ".join(told)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", help="a checkpoint's folder, or its name on the hub")
    parser.add_argument("--questions", help="a JSONL file in GSM8K's format; else micro_gsm8k")
    parser.add_argument("--samples", type=int, default=32)
    parser.add_argument("--new-tokens", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--lanes", help=f"some of {', '.join(WORDS)}; else all")
    parser.add_argument("--eager", action="store_true", help="vLLM without compilation")
    parser.add_argument("--vllm", default=".venv-vllm/bin/python", help="a Python that has vLLM")
    parser.add_argument("--host", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.host:
        host(given.host)
    elif given.model is None:
        parser.error("--model: name a checkpoint")
    else:
        measure(given)


if __name__ == "__main__":
    main()
