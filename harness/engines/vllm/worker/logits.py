"""Next-token logits of one worker's model, changed where its head gives them, row by row.

A model runner asks the head twice of a pass: for the last token of every request, and for slices of
all tokens where a request wants what its prompt's tokens scored. The draw and every
log-probability that vLLM tells come after, so that both are of the changed logits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from harness.engines.vllm.worker.scheduled import Scheduled
from harness.interventions.next_token_logits import NextTokenLogits
from harness.registry import load_object


class _Dose(NamedTuple):
    kind: type[NextTokenLogits]
    rows: Mapping[str, torch.Tensor]


class ChangedLogits:
    """The doses in use, by the row that requests name, and the layout of the pass that is running.

    Args:
        model: The model as vLLM built it.
        vocabulary: How many tokens it has.
        device: Where it is.
    """

    def __init__(self, model: nn.Module, vocabulary: int, device: torch.device) -> None:
        self._vocabulary = vocabulary
        self._device = device
        self._doses: dict[int, _Dose] = {}
        self._requests: Sequence[Scheduled | None] = ()
        self._acting = False
        self._owners = self._steps = self._last = np.zeros(0, np.int64)
        self._states: torch.Tensor | None = None
        given: Any = model
        #: The model's own head.
        self.original: Any = given.compute_logits
        given.compute_logits = self._head

    def write(self, row: int, reference: str, description: Mapping[str, Any]) -> None:
        """Write a row: a class by its reference, and what describes an intervention of it."""
        kind: type[NextTokenLogits] = load_object(reference)
        rows = kind.model_validate(description).rows(self._vocabulary)
        self._doses[row] = _Dose(kind, {name: each.to(self._device) for name, each in rows.items()})

    def begin(self, requests: Sequence[Scheduled | None], counts: np.ndarray) -> None:
        """The coming pass is over these requests, with so many tokens of each."""
        self._states = None
        self._requests = requests
        self._acting = any(each is not None and each.logits for each in requests)
        if not self._acting:
            return
        ends = np.cumsum(counts)
        # Of position 0, so that the tokens generated before a prediction can be counted from it.
        origins = [0 if each is None else each.start + 1 - each.prompt for each in requests]
        self._owners = np.repeat(np.arange(len(counts)), counts)
        within = np.arange(len(self._owners)) - np.repeat(ends - counts, counts)
        self._steps = np.array(origins, np.int64)[self._owners] + within
        self._last = ends - 1

    def read(self, states: torch.Tensor) -> None:
        """Logits are asked for slices of these states [n, H] of the pass from here on."""
        self._states = states

    def _head(self, hidden: torch.Tensor, *arguments: Any, **named: Any) -> torch.Tensor | None:
        """What the model's own head makes of states, changed for the requests that ask for it."""
        logits: torch.Tensor | None = self.original(hidden, *arguments, **named)
        if logits is None or not self._acting:
            return logits
        tokens = self._tokens_of(hidden)
        if len(tokens) != len(logits):
            raise RuntimeError(
                f"the model runner asks for {len(logits)} logits where {len(tokens)} were laid "
                "out, so that no intervention could be applied; this version of vLLM is not "
                "supported"
            )
        return self._changed(logits, tokens)

    def _tokens_of(self, hidden: torch.Tensor) -> np.ndarray:
        """Which tokens of the pass these states are of."""
        if self._states is None:
            return self._last
        behind = hidden.storage_offset() - self._states.storage_offset()
        first = behind // self._states.stride(0)
        return np.arange(first, first + len(hidden))

    def _changed(self, logits: torch.Tensor, tokens: np.ndarray) -> torch.Tensor:
        rows: dict[type[NextTokenLogits], list[tuple[int, Mapping[str, torch.Tensor], int]]] = {}
        for row, token in enumerate(tokens):
            request = self._requests[self._owners[token]]
            if request is not None and request.logits:
                dose = self._doses[request.logits]
                rows.setdefault(dose.kind, []).append((row, dose.rows, int(self._steps[token])))
        for kind, acting in rows.items():
            places, doses, steps = zip(*acting, strict=True)
            at = torch.tensor(places, device=logits.device)
            held = {name: torch.stack([dose[name] for dose in doses]) for name in doses[0]}
            found = kind.changed(
                logits[at].float(), held, torch.tensor(steps, device=logits.device)
            )
            logits[at] = found.to(logits.dtype)
        return logits
