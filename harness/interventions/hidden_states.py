"""The mechanism `hidden_states`: a pure function of the hidden states at places of a model.

Where `residual` adds vectors, a kind of this mechanism puts other states in their place: clamped
ones, or ones without their share along a direction.

Shapes: N tokens, H the width of the hidden states. A kind derives its description from
`HiddenStates`: `places` says where something is done, `rows` what a dose is, as tensors for each
place, and `changed` is the function that engines call there, on tokens at `positions` alone.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, TypeAlias

from harness.errors import FieldError
from harness.interventions.base import Intervention
from harness.interventions.residual import first_changed, spanned
from harness.interventions.steering_terms import Positions, Site
from harness.spec.engine_kind import Mechanism

if TYPE_CHECKING:
    from torch import Tensor

PlaceRows: TypeAlias = "Mapping[tuple[int, Site], Mapping[str, Tensor]]"
"""Tensors by name, one row each, for every place (layer, site) at which something is done."""


class HiddenStates(Intervention):
    """Base of what changes hidden states by a function of them."""

    mechanism: ClassVar[Mechanism] = "hidden_states"

    positions: Positions = "from_last_prompt_token"
    """Which tokens are changed, as `interventions/residual.py` defines it."""

    @abstractmethod
    def places(self) -> frozenset[tuple[int, Site]]:
        """Each (layer, site) at which something is done, known without the model."""

    @abstractmethod
    def rows(self, width: int) -> PlaceRows:
        """The dose at every one of `places`, to whose tensors engines add the axis of tokens.

        Rows that are all 0 do nothing. Every description of a class has the same names, shapes
        and types. Raises FieldError for what a model of this width does not have.
        """

    @staticmethod
    @abstractmethod
    def changed(hidden: Tensor, rows: Mapping[str, Tensor]) -> Tensor:
        """The states [N, H] of N tokens, given the model's own (float32) and rows [N, ...] of each.

        A token depends on its own state and rows alone.
        """

    def first_layer(self) -> int | None:
        """That of its first place, or the one behind a block's output."""
        return min((first_changed(*place) for place in self.places()), default=None)

    def acts_in(self, layer: int) -> bool:
        """Whether a place is there."""
        return any(at == layer for at, _ in self.places())

    def prefix_key(self, length: int, prompt: int) -> str:
        """Nothing is done before the first position that is changed; after it, P matters too."""
        first, _ = spanned(self.positions, prompt)
        return f"{self.fingerprint()}:{prompt}" if first < length and not self.is_neutral else ""


def checked_rows(intervention: HiddenStates, *, layers: int, width: int) -> PlaceRows:
    """Its rows in a model with so many layers of that width.

    Raises FieldError for the first layer that the model does not have, and where the rows are not
    those of the intervention's places.
    """
    rows = intervention.rows(width)
    if rows.keys() != intervention.places():
        raise FieldError(
            "intervention.kind",
            f"{intervention.kind} has rows for {sorted(rows)}, and its places are "
            f"{sorted(intervention.places())}; let both be the same",
        )
    for layer, _ in sorted(rows):
        if not 0 <= layer < layers:
            raise FieldError(
                "intervention.layer",
                f"there is no layer {layer}; the model has layers 0-{layers - 1}",
            )
    return rows
