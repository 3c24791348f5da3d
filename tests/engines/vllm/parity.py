"""One mode of vLLM against the transformers engine; a program of its own, because vLLM changes the
process that it runs in. Prints one line of JSON: `python parity.py MODEL SETTINGS`.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from unittest.mock import patch

import pytest
import torch

# A program of its own: the folder that it lies in is where Python looks first.
from interpreted import interpret_triton
from requests_of import interventions, prompts, requests

from harness.engines import open_engine
from harness.engines.contract import Capture, Reading, Request
from harness.engines.declared import Declared
from harness.engines.vllm.engine import VllmEngine
from harness.engines.vllm.reading import needed
from harness.engines.vllm.worker.model import ModelInterventions
from harness.interventions.steering.description import Steering
from harness.models.loading import load_config
from harness.spec import EngineSettings


def main(model: str, settings: str) -> None:
    if os.environ.get("TRITON_INTERPRET") == "1":
        interpret_triton()
    config = load_config(model)
    given = {"name": "vllm", "slots": 8, **json.loads(settings)}
    capture = Capture(
        router_logits=hasattr(config, "num_experts"),
        hidden_layers=(0, 1),
        token_log_probabilities=True,
    )
    expected = open_engine(model, EngineSettings(dtype="float32"))
    one, other = prompts(expected.tokenizer)
    draws, eager = "speculation" not in given, given.get("enforce_eager") is not False
    every = interventions(config, logits=draws, eager=eager)
    readings = [Reading(one + other, capture, each, len(one)) for each in every]
    needs = Declared.of(every) | needed(readings)
    engine = VllmEngine(model, EngineSettings.model_validate(given), needs)
    queue = requests(engine.tokenizer, config, draws=draws, eager=eager)
    theirs = dict(expected.generate(queue))
    with _counting_drafts() as drafts:
        ours = dict(engine.generate(queue))
        again = dict(engine.generate(queue))  # prefixes are resident now
    print(
        json.dumps(
            {
                "requests": len(queue),
                "different": [i for i in ours if not _same(ours[i], theirs[i])],
                "different again": [i for i in again if not _same(again[i], theirs[i])],
                "gap": max(_gap(ours[i], theirs[i]) for i in ours),
                "reading": _reading_gap(readings, engine, expected),
                "forward": engine.determinism["forward"],
                "runner": _runner(engine),
                "drafts": sum(drafts),
            }
        )
    )
    if not given.get("separate_process") and given.get("tensor_parallel_size", 1) == 1:
        _check_unmapped_steps_raise(engine, queue)
    engine.close()


@contextmanager
def _counting_drafts() -> Iterator[list[int]]:
    """How many tokens each step was given to verify."""
    drafts: list[int] = []
    scheduled = ModelInterventions.scheduled

    def counting(self: ModelInterventions, output: object) -> None:
        drafts.append(sum(map(len, output.scheduled_spec_decode_tokens.values())))
        scheduled(self, output)

    with patch.object(ModelInterventions, "scheduled", counting):
        yield drafts


def _check_unmapped_steps_raise(engine: VllmEngine, queue: Sequence[Request]) -> None:
    """A runner of which our adapter no longer sees how a step is laid out must not go unnoticed."""
    steered = next(
        each
        for each in queue
        if isinstance(each.intervention, Steering) and each.intervention.terms
    )
    with (
        patch.object(ModelInterventions, "begin", lambda *_: None),
        pytest.raises(RuntimeError, match="which tokens belong to which request"),
    ):
        list(engine.generate([steered]))


def _runner(engine: VllmEngine) -> str | None:
    """The module of the class that runs the model; None where it is in another process."""
    driver = getattr(engine._engine, "model_executor", None)
    if driver is None or not hasattr(driver, "driver_worker"):
        return None
    runner = driver.driver_worker.worker.model_runner
    return next(
        each.__module__ for each in type(runner).__mro__ if each.__name__ == "GPUModelRunner"
    )


def _same(own: object, other: object) -> bool:
    fields = ("tokens", "text", "finish_reason", "counts", "error")
    return all(getattr(own, field) == getattr(other, field) for field in fields)


def _gap(own: object, other: object) -> float:
    pairs = zip(own.log_probabilities, other.log_probabilities, strict=False)
    return max((abs(one - two) for one, two in pairs), default=0.0)


def _reading_gap(readings: object, engine: object, expected: object) -> float:
    ours, theirs = dict(engine.forward(readings)), dict(expected.forward(readings))
    gaps = []
    for place, own in ours.items():
        other = theirs[place]
        gaps += [_apart(own.hidden[layer], other.hidden[layer]) for layer in own.hidden]
        gaps.append(_apart(own.token_log_probabilities, other.token_log_probabilities))
        if own.router_logits is not None:
            gaps.append(_apart(own.router_logits, other.router_logits))
    return max(gaps)


def _apart(own: torch.Tensor, other: torch.Tensor) -> float:
    """The largest difference, in parts of the largest number where that is above 1.

    A steered residual stream reaches 774 here, where float32 itself steps by 6e-5.
    """
    return float((own - other).abs().max() / other.abs().max().clamp(min=1))


if __name__ == "__main__":
    main(*sys.argv[1:])
