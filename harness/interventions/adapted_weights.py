"""The mechanism `adapted_weights`: products of small matrices are added to weights, at a scale.

For x [I], the input of a linear module with weight W [O, I], the module gives

    W x + s B (A x)        A [K, I], B [O, K], s the dose

as if its weight were W + s B A (LoRA; Hu et al. 2021, arXiv:2106.09685, section 4.1). A kind
derives its description from `AdaptedWeights` and says which modules have such factors, and these;
`added` is the function that engines call, in which every row of a batch has factors and a scale of
its own (as in Punica, arXiv:2310.18547, and S-LoRA, arXiv:2311.03285).
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, NamedTuple, Self

from harness.interventions.base import Intervention
from harness.interventions.steering_terms import Float32
from harness.spec.engine_kind import Mechanism

if TYPE_CHECKING:
    from torch import Tensor

#: The number of a decoder layer in a module's name, by what decoders call their layers.
_LAYER = re.compile(r"(?:^|\.)(?:layers|h|blocks)\.(\d+)\.")


class Factors(NamedTuple):
    """What a module's weight gains at scale 1: B A, with `a` [K, I] and `b` [O, K]."""

    a: Tensor
    b: Tensor


class AdaptedWeights(Intervention):
    """Base of what adds products of low rank to weights, at all positions of a sequence."""

    mechanism: ClassVar[Mechanism] = "adapted_weights"

    scale: Float32
    """The dose; 0 is neutral."""

    @property
    @abstractmethod
    def digest(self) -> str:
        """Hash of all factors, whatever the scale; equal digests mean equal factors."""

    @abstractmethod
    def modules(self) -> tuple[str, ...]:
        """The names of the modules that have factors, as `model.get_submodule` takes them."""

    @abstractmethod
    def factors(self) -> Mapping[str, Factors]:
        """The factors of each module, on the CPU."""

    def files(self) -> str | None:
        """The folder of PEFT's files that say the same at scale 1; None where there is none."""
        return None

    def neutral(self) -> Self:
        """The same factors at scale 0."""
        return self.model_copy(update={"scale": 0.0})

    def fingerprint(self) -> str:
        """Of the factors' digest and the scale: where their numbers lie does not matter."""
        return f"{self.digest}:{self.scale + 0.0!r}"

    def first_layer(self) -> int | None:
        """That of its first module; 0 where a module lies in none."""
        return min(map(layer_of, self.modules()), default=None)

    def acts_in(self, layer: int) -> bool:
        """Whether a module is there; those that lie in no layer act on every token by itself."""
        return any(in_a_layer(each) and layer_of(each) == layer for each in self.modules())

    def prefix_key(self, length: int, prompt: int) -> str:  # noqa: ARG002 - the base's arguments
        """The fingerprint: every position is changed."""
        return self.fingerprint() if length and not self.is_neutral else ""


def in_a_layer(module: str) -> bool:
    """Whether a module is a part of a decoder layer."""
    return _LAYER.search(module) is not None


def layer_of(module: str) -> int:
    """The decoder layer in which a module lies; 0 for one outside of them."""
    found = _LAYER.search(module)
    return int(found[1]) if found else 0


def added(outputs: Tensor, inputs: Tensor, a: Tensor, b: Tensor, scales: Tensor) -> Tensor:
    """Outputs [R, T, O] of a module for inputs [R, T, I], with what each row's factors add.

    `a` [R, K, I], `b` [R, O, K] and `scales` [R] are those of the rows; a row of scale 0 keeps its
    outputs. Sums are made in the type of the outputs.
    """
    low = inputs.to(a.dtype) @ a.mT
    found = (low * scales[:, None, None]) @ b.mT
    return outputs + found.to(outputs.dtype)
