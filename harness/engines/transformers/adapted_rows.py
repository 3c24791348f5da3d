"""Adapted weights: what each row's factors add to the output of a linear module, in one product.

- The factors of every adapter lie once in a module's tables, padded to the largest rank; a slot
  holds the number of its adapter and its scale. Number 0 adds nothing.
- A pass gathers the factors of its rows, so that its cost does not grow with how many adapters
  share it.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from harness.errors import FieldError, RequestError
from harness.interventions.adapted_weights import AdaptedWeights, Factors, added

_FIELD = "intervention.kind"


class AdaptedRows:
    """Adapters of the sequences in the slots, of one kind."""

    def __init__(
        self,
        kind: type[AdaptedWeights],  # noqa: ARG002 - every kind of the mechanism adds the same way
        model: Any,
        slots: int,
        columns: int,  # noqa: ARG002 - nothing is counted
    ) -> None:
        self._model = model
        self._modules: dict[str, _Module] = {}
        self._numbers: dict[str, int] = {}
        self._scales = torch.zeros(slots)
        # The adapter of each slot; 0 where nothing is added, a scale of 0 included.
        self._of = torch.zeros(slots, dtype=torch.long)
        self._attached = False

    def check(self, intervention: AdaptedWeights) -> None:
        """Raise a `FieldError` for factors of a module that the model does not have."""
        if intervention.digest in self._numbers:
            return
        factors = intervention.factors()
        found = {name: _linear(self._model, name, each) for name, each in factors.items()}
        number = len(self._numbers) + 1
        for name, module in found.items():
            if name not in self._modules:
                self._modules[name] = _Module(name, module)
                if self._attached:
                    self._modules[name].attach()
        for name, each in self._modules.items():
            each.add(number, factors.get(name))
        self._numbers[intervention.digest] = number

    def attach(self) -> None:
        """Put a hook on every module that a checked adapter has factors of."""
        self._attached = True
        for module in self._modules.values():
            module.attach()

    def detach(self) -> None:
        """Take the hooks off."""
        self._attached = False
        for module in self._modules.values():
            module.detach()

    def assign(
        self,
        slot: int,
        intervention: AdaptedWeights | None,
        kept: int,  # noqa: ARG002 - nothing is counted
        prompt: int,  # noqa: ARG002 - every position is changed
    ) -> None:
        """Write the slot's adapter and scale."""
        acts = intervention is not None and intervention.scale != 0
        self._of[slot] = self._numbers[intervention.digest] if intervention and acts else 0
        self._scales[slot] = intervention.scale if intervention and acts else 0.0

    def copy(self, source: int, target: int, columns: int) -> None:
        """Nothing, since nothing is counted."""

    def move(self, source: int, target: int, columns: int) -> None:  # noqa: ARG002 - as above
        """Copy a slot's adapter and scale."""
        self._of[target] = self._of[source]
        self._scales[target] = self._scales[source]

    def swap(self, one: int, other: int, columns: int) -> None:  # noqa: ARG002 - as above
        """Exchange two slots' adapters and scales."""
        self._of[[one, other]] = self._of[[other, one]]
        self._scales[[one, other]] = self._scales[[other, one]]

    def begin(
        self,
        slots: slice,
        positions: torch.Tensor,  # noqa: ARG002 - every position is changed
        columns: torch.Tensor,  # noqa: ARG002 - nothing is counted
    ) -> None:
        """Tell the modules which adapters the rows of the coming pass have."""
        numbers, scales = self._of[slots], self._scales[slots]
        acting = frozenset(numbers.tolist()) - {0}
        for module in self._modules.values():
            module.begin(numbers, scales, acting)

    def end(self) -> None:
        """The pass is over. Raises `RequestError` for a module that the model passed by."""
        silent = next(iter([name for name, each in self._modules.items() if each.end()]), None)
        if silent is not None and sys.exc_info()[0] is None:  # a failed pass has its own reason
            raise RequestError(
                f"{type(self._model).__name__} does not call {silent}, so that an adapter of it "
                "changes nothing; merge the adapter into its base and give the result as model"
            )

    def counts(self, slot: int, columns: int) -> Mapping[str, int]:  # noqa: ARG002 - as above
        """None."""
        return {}


class _Module:
    """One linear module, with the factors that any adapter has of it."""

    def __init__(self, name: str, module: nn.Module) -> None:
        self.name = name
        self._module = module
        parameter = next(module.parameters())
        self._device = parameter.device
        self._type = parameter.dtype if parameter.dtype.is_floating_point else torch.float32
        inputs, outputs = _widths(module)
        self._a = torch.zeros(1, 0, inputs, device=self._device, dtype=self._type)
        self._b = torch.zeros(1, outputs, 0, device=self._device, dtype=self._type)
        self._having: set[int] = set()
        self._pass: tuple[torch.Tensor, torch.Tensor] | None = None
        self._called = False
        self._hook: Any = None

    def add(self, number: int, factors: Factors | None) -> None:
        """Make room for adapters up to this one, which may have no factors here."""
        held, rank = self._a.shape[:2]
        ranks = max(rank, 0 if factors is None else len(factors.a))
        a = self._a.new_zeros(number + 1, ranks, self._a.shape[2])
        b = self._b.new_zeros(number + 1, self._b.shape[1], ranks)
        a[:held, :rank], b[:held, :, :rank] = self._a, self._b
        if factors is not None:
            a[number, : len(factors.a)] = factors.a
            b[number, :, : len(factors.a)] = factors.b
            self._having.add(number)
        self._a, self._b = a, b

    def attach(self) -> None:
        if self._hook is None:
            self._hook = self._module.register_forward_hook(self._changed)

    def detach(self) -> None:
        if self._hook is not None:
            self._hook.remove()
            self._hook = None

    def begin(self, numbers: torch.Tensor, scales: torch.Tensor, acting: frozenset[int]) -> None:
        if not acting.isdisjoint(self._having):
            self._pass = numbers.to(self._device), scales.to(self._device, self._type)

    def end(self) -> bool:
        """Whether the module should have acted in the pass, and was not called."""
        passed_by = self._pass is not None and not self._called
        self._pass, self._called = None, False
        return passed_by

    def _changed(self, _module: Any, inputs: tuple[torch.Tensor, ...], output: Any) -> Any:
        """The module's output with what the rows' factors add; None, for as it is, without any."""
        if self._pass is None:
            return None
        self._called = True
        numbers, scales = self._pass
        rows = len(numbers)
        # Blocks of experts give their shared ones all tokens in one row after the other.
        given = inputs[0].reshape(rows, -1, self._a.shape[2])
        a, b = self._a.index_select(0, numbers), self._b.index_select(0, numbers)
        return added(output.reshape(rows, -1, b.shape[1]), given, a, b, scales).view_as(output)


def _linear(model: Any, name: str, factors: Factors) -> nn.Module:
    """The linear module of a name, which these factors fit."""
    try:
        module: nn.Module = model.get_submodule(name)
    except AttributeError as error:
        raise FieldError(
            _FIELD,
            f"the adapter has factors of {name}, which {type(model).__name__} does not have; use "
            "an adapter of this model",
        ) from error
    if not isinstance(module, nn.Linear | Conv1D):
        raise FieldError(
            _FIELD,
            f"the adapter has factors of {name}, a {type(module).__name__}; only linear modules "
            "are adapted here",
        )
    inputs, outputs = _widths(module)
    if (factors.a.shape[1], factors.b.shape[0]) != (inputs, outputs):
        raise FieldError(
            _FIELD,
            f"the adapter's {name} takes {factors.a.shape[1]} numbers and gives "
            f"{factors.b.shape[0]}, but the model's takes {inputs} and gives {outputs}; use an "
            "adapter of this model",
        )
    return module


def _widths(module: nn.Module) -> tuple[int, int]:
    """Inputs and outputs of a linear module."""
    if isinstance(module, Conv1D):
        return int(module.nx), int(module.nf)
    assert isinstance(module, nn.Linear)
    return module.in_features, module.out_features
