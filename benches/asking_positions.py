"""How many token positions the value of asking takes, against asking at every position naively.

`python benches/asking_positions.py [--length 5] [--samples 64] [--checked 2]`: the maps of zoo/base
and zoo/oracle on micro_gsm8k are made, and printed is what that took of either model, three times:

- said or compared: what the case itself counts, on both sides.
- shared: all that passes through the engine, prompts, padding, the base's own answers and their
  statistics included, against naive questions to an engine of as many slots, which reads each
  prefix once and does not draft. Ours differs by run: how far drafts reach follows the clock.
- alone: the same of ours, against naive questions each by itself: the oracle reads prompt and p
  tokens and writes k, the base reads these too and writes the rest. Counted is what is read and
  written but for each last token, which no pass reads; of `checked` samples the questions are asked
  so, one by one, and the engine's count has to be equal.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import nn

import harness
from harness.engines.contract import Completion, Request, Stop
from harness.engines.transformers.engine import TransformersEngine
from harness.models.loading import load, load_config
from harness.models.size import weights_per_token
from harness.resolve.tasks import task_of
from harness.spec import TaskSettings
from harness.tasks.conversations import render

LIMIT = 64
CONFIGS = {name: load_config(f"zoo/{name}") for name in ("base", "oracle")}
WEIGHTS = {name: weights_per_token(config) for name, config in CONFIGS.items()}
SPEC = """\
name: asking
model: zoo/base
task: {{name: micro_gsm8k, limit: {samples}}}
prompt: {{style: assisted}}
measure: value_of_asking
value_of_asking: {{model: zoo/oracle, length: {length}, hindsight: 1}}
sampling: {{temperature: 0, max_new_tokens: {limit}}}
"""


@contextmanager
def passing() -> Iterator[Counter[str]]:
    """Token positions that pass through each of the two models, told apart by their widths."""
    found = Counter[str]()
    names = {config.hidden_size: name for name, config in CONFIGS.items()}
    forward = nn.Embedding.forward

    def counted(self: nn.Embedding, ids: torch.Tensor) -> torch.Tensor:
        found[names[self.embedding_dim]] += ids.numel()
        return forward(self, ids)

    nn.Embedding.forward = counted  # type: ignore[method-assign]
    try:
        yield found
    finally:
        nn.Embedding.forward = forward  # type: ignore[method-assign]


def maps(samples: int, length: int) -> tuple[Counter[str], Mapping[str, int]]:
    """What passes through the engines for the maps, and what their case counts."""
    with TemporaryDirectory() as folder, passing() as found:
        spec = Path(folder, "spec.yaml")
        spec.write_text(SPEC.format(samples=samples, length=length, limit=LIMIT), "utf-8")
        report = harness.run(spec, directory=Path(folder, "report"), store=Path(folder, "store"))
    return found, report.report.cases[0].counts


class Naive:
    """The questions of naive re-generation, and their answers."""

    def __init__(self, samples: int, length: int) -> None:
        self.engines = {
            name: TransformersEngine(load(f"zoo/{name}", device="cpu"), drafts=False)
            for name in CONFIGS
        }
        task = task_of(TaskSettings(name="micro_gsm8k", limit=samples))
        self._stop = Stop(strings=task.stop_strings("assisted"))
        tokenizer = self.engines["base"].tokenizer
        self._prompts = [
            tuple(render(tokenizer, task.prompt(sample, "assisted"))) for sample in task.samples
        ]
        own = self._made("base", [self._asked(at, (), LIMIT) for at in range(samples)])
        starts = [
            (at, each.tokens[:p]) for at, each in enumerate(own) for p in range(len(each.tokens))
        ]
        with passing() as self.shared:
            asked = [
                self._asked(at, before, min(length, LIMIT - len(before))) for at, before in starts
            ]
            said = self._made("oracle", asked)
            going_on = [
                self._asked(at, whole, LIMIT - len(whole))
                for (at, before), each in zip(starts, said, strict=True)
                if each.finish_reason == "length" and len(whole := (*before, *each.tokens)) < LIMIT
            ]
            rest = self._made("base", going_on)
        self.questions = [
            *(("oracle", *pair) for pair in zip(asked, said, strict=True)),
            *(("base", *pair) for pair in zip(going_on, rest, strict=True)),
        ]

    def alone(self, samples: int | None = None) -> Counter[str]:
        """Positions of all questions, or of those of the first samples, each by itself."""
        found = Counter[str]()
        for model, request, reply in self.questions:
            if samples is None or int(request.sample) < samples:
                found[model] += len(request.prompt) + len(reply.tokens) - 1
        return found

    def asked_alone(self, samples: int) -> Counter[str]:
        """What passes through the engines when those of the first samples are asked so."""
        with passing() as found:
            for model, request, reply in self.questions:
                if int(request.sample) < samples:
                    engine = TransformersEngine(self.engines[model].loaded, slots=1, drafts=False)
                    ((_, again),) = engine.generate([request])
                    assert again.tokens == reply.tokens
        return found

    def _asked(self, at: int, before: Sequence[int], left: int) -> Request:
        return Request(
            (*self._prompts[at], *before),
            left,
            stop=self._stop,
            continued=len(before),
            sample=str(at),
        )

    def _made(self, model: str, requests: Sequence[Request]) -> list[Completion]:
        found = dict(self.engines[model].generate(requests))
        return [found[at] for at in range(len(requests))]


def line(name: str, ours: Mapping[str, int], naive: Mapping[str, int]) -> str:
    """`ours / naive = share` of the base, of the oracle, and of both by their weights."""
    weighted = [sum(each[model] * WEIGHTS[model] for model in WEIGHTS) for each in (ours, naive)]
    parts = [
        f"{model} {ours[model]} / {naive[model]} = {ours[model] / naive[model]:.3f}"
        for model in WEIGHTS
    ]
    return f"{name}: {', '.join(parts)}, weighted {weighted[0] / weighted[1]:.3f}"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--length", type=int, default=5)
    parser.add_argument("--samples", type=int, default=64)
    parser.add_argument("--checked", type=int, default=2)
    options = parser.parse_args()
    through, counts = maps(options.samples, options.length)
    said, said_naively = (
        {"base": counts[f"model positions{end}"], "oracle": counts[f"oracle positions{end}"]}
        for end in ("", ", naive")
    )
    naive = Naive(options.samples, options.length)
    print(line("said or compared", said, said_naively))
    print(line("shared", through, naive.shared))
    print(line("alone", through, naive.alone()), f"({len(naive.questions)} questions)")
    expected, found = naive.alone(options.checked), naive.asked_alone(options.checked)
    print(f"asked so, {options.checked} samples: {dict(found)}, counted {dict(expected)}")


if __name__ == "__main__":
    main()
