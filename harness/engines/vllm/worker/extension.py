"""What the engine calls in every worker: vLLM mixes this class into its own worker class.

Every method's name starts with `titrate_`, and arguments and results are plain values, because they
may travel between processes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from harness.engines.declared import Declared
from harness.engines.vllm.worker.model import Column, ModelInterventions
from harness.engines.vllm.worker.ours import MODELS
from harness.errors import ModelError


class WorkerExtension:
    """Methods of a vLLM worker, which has a `model_runner`."""

    model_runner: Any

    def titrate_install(
        self, declared: Mapping[str, Any], columns: Sequence[Column]
    ) -> Mapping[str, Any]:
        """Put what is declared into the model; what this worker holds, or an error in words."""
        interventions = MODELS.get(self.model_runner.get_model())
        if interventions is None:
            return {"error": "the plugin of pytest-titrate was not loaded by vLLM's worker"}
        try:
            interventions.install(Declared.from_json(declared), columns)
        except ModelError as error:
            return {"error": str(error)}
        return {"layers": interventions.layers, "routers": interventions.routers}

    def titrate_write(self, conditions: Sequence[Sequence[Any]]) -> None:
        """Write conditions to their rows: (what, arguments...)."""
        interventions = self._interventions
        for kind, *arguments in conditions:
            if kind == "mask":
                row, points, replace, zero = arguments
                interventions.write_mask(row, points, replace=replace, zero=zero)
            elif kind == "vectors":
                layer, site, row, values = arguments
                interventions.write_vectors((layer, site), row, values)
            elif kind == "states":
                interventions.write_states(*arguments)
            elif kind == "logits":
                interventions.write_logits(*arguments)
            else:
                layer, site, row, gate, direction = arguments
                interventions.write_gate((layer, site), row, gate, direction)

    def titrate_counted(self, ended: Sequence[tuple[str, int]]) -> list[list[int]]:
        """What ended requests counted in their first tokens; see `ModelInterventions.counted`."""
        return [self._interventions.counted(request, length) for request, length in ended]

    def titrate_captured(self, request: str) -> dict[str, Any]:
        """What was read of an ended request: {name: [rows, float32 values]}."""
        return {
            name: [len(values), values.numpy().tobytes()]
            for name, values in self._interventions.captured(request).items()
        }

    def titrate_forget(self, requests: Sequence[str]) -> None:
        """Drop what is kept of cancelled requests."""
        for request in requests:
            self._interventions.forget(request)

    def titrate_readout(self, hidden: bytes, rows: int) -> bytes:
        """Log-probabilities [rows, V] of states [rows, H] in float32; empty on other workers."""
        states = torch.from_numpy(np.frombuffer(hidden, np.float32).copy()).view(rows, -1)
        with torch.inference_mode():
            found = self._interventions.readout(states)
        return b"" if found is None else found.cpu().numpy().tobytes()

    @property
    def _interventions(self) -> ModelInterventions:
        return MODELS[self.model_runner.get_model()]
