"""Identities of adapters: at scale 1 the merged model, and a scale that multiplies factors.

Factors are random and large, of linear modules in attention, which every architecture has under
some name: they are found on the model's configuration, without its weights.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from harness.engines.contract import Capture, Request
from harness.interventions.adapted_weights import AdaptedWeights, Factors
from harness.invariants.bench import Bench, named
from harness.invariants.family import Family
from harness.invariants.finding import Finding, equal, first_violation
from harness.models.sites import decoder_blocks, site_module

#: Of the largest state. Measured on the zoo: 1e-6, where a dose moves states by 0.5 and more.
_ROUNDING = 1e-4


class RandomFactors(AdaptedWeights):
    """Normal factors of some modules, drawn by a seed."""

    kind: Literal["adapter"] = "adapter"
    shapes: tuple[tuple[str, int, int], ...]
    """Name, inputs and outputs of each module."""
    seed: int
    rank: int = 2
    factor: float = 1.0
    """What B is multiplied by."""

    @property
    def digest(self) -> str:
        """Hash of what the numbers are drawn by."""
        content = f"{self.shapes} {self.seed} {self.rank} {self.factor}"
        return hashlib.sha256(content.encode()).hexdigest()

    def modules(self) -> tuple[str, ...]:
        """The modules by name."""
        return tuple(name for name, _, _ in self.shapes)

    def factors(self) -> Mapping[str, Factors]:
        """Drawn anew; products of them are as large as the states that a module reads."""
        import torch

        drawn = torch.Generator().manual_seed(self.seed)
        found = {}
        for name, inputs, outputs in self.shapes:
            a = torch.randn(self.rank, inputs, generator=drawn) / inputs**0.5
            b = torch.randn(outputs, self.rank, generator=drawn)
            found[name] = Factors(a, self.factor * b)
        return found


def doses(config: Any) -> tuple[RandomFactors, ...]:
    """Two adapters of unequal ranks and modules, one of them at two scales."""
    shapes = _shapes(config)
    first, last = shapes[0], shapes[-1]
    return (
        RandomFactors(shapes=(last,), seed=1, scale=2.0),
        RandomFactors(shapes=(first, last), seed=2, rank=3, scale=1.0),
        RandomFactors(shapes=(first, last), seed=2, rank=3, scale=-2.0),
    )


def equals_the_merged_model(bench: Bench) -> Finding:
    """At scale s the states are those of a model whose weights are W + s B A.

    Source: Hu et al. 2021 (arXiv:2106.09685), section 4.1.
    """
    return first_violation(_merged(bench), "adapters")


def _merged(bench: Bench) -> Iterator[str | None]:
    import torch

    model, prompt = bench.loaded.model, bench.prompts[0]
    layers = len(decoder_blocks(model))
    capture = Capture(hidden_layers=(layers - 1,))
    for dose in bench.doses:
        assert isinstance(dose, RandomFactors)
        own = bench.read(prompt, capture, dose).hidden[layers - 1]
        before = {}
        with torch.no_grad():
            for name, factors in dose.factors().items():
                weight = model.get_submodule(name).weight
                before[name] = weight.detach().clone()
                product = (dose.scale * factors.b @ factors.a).to(weight)
                weight += product if weight.shape == product.shape else product.T
            try:
                merged = bench.read(prompt, capture).hidden[layers - 1]
            finally:
                for name, kept in before.items():
                    model.get_submodule(name).weight.copy_(kept)
        size = float(merged.abs().max())
        error = float((own - merged).abs().max()) / size
        rounding = _ROUNDING if own.dtype == model.dtype else 0.1
        yield None if error <= rounding else f"{dose.in_words()}: states differ by {error:.1e}"


def scale_multiplies_factors(bench: Bench) -> Finding:
    """Scale s of B A is scale 1 of (s B) A, in a batch with it.

    Source: the definition in `harness.interventions.adapted_weights`.
    """
    pairs: list[tuple[Request, Request]] = []
    for dose in bench.doses:
        assert isinstance(dose, RandomFactors)
        same = dose.model_copy(update={"factor": dose.scale * dose.factor, "scale": 1.0})
        pairs += zip(bench.requests(dose), bench.requests(same), strict=True)
    together = bench.together([request for pair in pairs for request in pair])
    return equal(
        (
            (named(own), together[2 * index], together[2 * index + 1])
            for index, (own, _) in enumerate(pairs)
        ),
        tolerance=bench.tolerance,
    )


def _shapes(config: Any) -> tuple[tuple[str, int, int], ...]:
    """Name, inputs and outputs of the linear modules in attention, layer by layer."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM
    from transformers.pytorch_utils import Conv1D

    whole = AutoConfig.for_model(**config.to_dict())
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(whole)
    names = {module: name for name, module in model.named_modules()}
    found = []
    for layer in range(len(decoder_blocks(model))):
        for module in site_module(model, layer, "attention").modules():
            if isinstance(module, torch.nn.Linear):
                found.append((names[module], module.in_features, module.out_features))
            elif isinstance(module, Conv1D):
                found.append((names[module], int(module.nx), int(module.nf)))
    return tuple(found)


FAMILY = Family(
    "adapter",
    doses=doses,
    own=(equals_the_merged_model, scale_multiplies_factors),
    watching=frozenset({equals_the_merged_model}),
)
