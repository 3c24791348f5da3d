"""The rules of `harness.sampling` as a logits processor of vLLM's V1 runner.

A request whose rules act carries them, and is greedy to vLLM: its row is left with the one token
that our rules and its own noise choose, so that it draws what it draws under any engine.
"""

from __future__ import annotations

from typing import Any

import torch
from vllm.v1.sample.logits_processor import LogitsProcessor
from vllm.v1.sample.logits_processor.builtin import process_dict_updates

from harness.engines.vllm.drawing import DrawingRequest, drawn_of, force


class SamplingProcessorV1(LogitsProcessor):
    """Keeps the rules of the rows that draw, by their place in the batch."""

    def __init__(self, _config: Any, device: torch.device, _pinned: object) -> None:
        self._device = device
        self._rows: dict[int, tuple[DrawingRequest, list[int]]] = {}

    def is_argmax_invariant(self) -> bool:
        """No: a row that draws is decided here."""
        return False

    def update_state(self, batch_update: Any) -> None:
        """Follow requests as they come, go and move."""

        def found(
            parameters: Any, _prompt: list[int] | None, output: list[int]
        ) -> tuple[DrawingRequest, list[int]] | None:
            drawn = drawn_of(parameters.extra_args)
            return None if drawn is None else (drawn, output)

        process_dict_updates(self._rows, batch_update, found)

    def apply(self, logits: torch.Tensor) -> torch.Tensor:
        """Leave the chosen token alone in every row that draws; logits are [R, V]."""
        if not self._rows:
            return logits
        rows = list(self._rows)
        drawn = [self._rows[row][0] for row in rows]
        generated = [
            each.already + len(self._rows[row][1]) for row, each in zip(rows, drawn, strict=True)
        ]
        at = torch.tensor(rows, device=self._device)
        return force(logits, at, drawn, torch.tensor(generated, device=self._device))
