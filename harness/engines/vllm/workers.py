"""The workers of one running vLLM engine, called all together: install, write, count, read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from harness.engines.declared import Declared
from harness.engines.vllm import deaths
from harness.engines.vllm.conditions import Conditions
from harness.errors import ModelError


class Workers:
    """Every worker holds the same rows; with pipeline parallelism each has its own layers."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine

    def install(self, declared: Declared, conditions: Conditions) -> None:
        """Put what is declared into the models. Raises `ModelError` for what none of them has."""
        conditions.declare(declared)
        columns = [list(column) for column in conditions.columns]
        found = self._call("titrate_install", declared.to_json(), columns)
        problems = [answer["error"] for answer in found if "error" in answer]
        if problems:
            raise ModelError(problems[0])
        layers = {layer for answer in found for layer in answer["layers"]}
        for layer, site in sorted({*declared.steered, *declared.read, *declared.changed}):
            if layer not in layers:
                raise ModelError(
                    f"layer {layer}, {site}: vLLM's model has the layers "
                    f"{min(layers, default=0)}-{max(layers, default=0)}"
                )
        if (declared.masks or declared.router_logits) and not any(a["routers"] for a in found):
            raise ModelError("vLLM's model has no router that a mask could reach")

    def write(self, conditions: Sequence[Sequence[Any]]) -> None:
        """Upload conditions to their rows."""
        if conditions:
            self._call("titrate_write", list(conditions))

    def counted(self, ended: Mapping[str, int]) -> dict[str, Sequence[int]]:
        """Routings changed and emptied, and conditional additions, of ended requests.

        They are given by their ids, with how many of their tokens count. Workers that share layers
        agree; those with layers of their own add up.
        """
        if not ended:
            return {}
        parallel = self._engine.vllm_config.parallel_config.tensor_parallel_size
        answers = self._call("titrate_counted", [list(each) for each in ended.items()])
        own = np.array(answers[::parallel])  # the first worker of every group of layers
        return dict(zip(ended, own.sum(axis=0).tolist(), strict=True))

    def captured(self, request: str) -> Mapping[str, torch.Tensor]:
        """What was read of an ended request: {name: [n, width]} in float32."""
        found: dict[str, torch.Tensor] = {}
        for answer in self._call("titrate_captured", request):
            for name, (rows, values) in answer.items():
                found[name] = _tensor(values, rows)
        return found

    def forget(self, requests: Sequence[str]) -> None:
        """Drop what is kept of cancelled requests."""
        if requests:
            self._call("titrate_forget", list(requests))

    def readout(self, hidden: torch.Tensor) -> torch.Tensor:
        """Log-probabilities [n, V] of states [n, H]."""
        states = hidden.to("cpu", torch.float32).contiguous()
        answers = self._call("titrate_readout", states.numpy().tobytes(), len(states))
        return _tensor(next(answer for answer in answers if answer), len(states))

    def _call(self, method: str, *arguments: Any) -> list[Any]:
        with deaths.told():
            answers: list[Any] = self._engine.engine_core.collective_rpc(method, args=arguments)
        return answers


def _tensor(values: bytes, rows: int) -> torch.Tensor:
    return torch.from_numpy(np.frombuffer(values, np.float32).copy()).view(rows, -1)
