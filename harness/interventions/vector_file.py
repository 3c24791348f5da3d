"""Steering vectors on disk: one vector per layer, with what they were built from.

The format is safetensors: tensors `layer.0`, `layer.7`, ... of shape [H], and string metadata
with the site, what the vectors were built from and how, and, per layer where it is known, the mean
norm of the residual stream after the layer (`residual_norm.7`), at the tokens that the vector was
built from: the unit in which a dose may be given; of a probe's vector its steepness and its bias
(`probe.7`: `[0.04, -1.5]`). Nothing in such a file is ever executed.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

from safetensors import SafetensorError, safe_open

from harness.errors import FieldError
from harness.files.atomic import replace_file
from harness.files.given import check_file
from harness.interventions.array import Array
from harness.interventions.steering_terms import Site

if TYPE_CHECKING:
    import torch

FORMAT = "titrate-steering-vectors/1"
_LAYER = re.compile(r"layer\.(\d+)")


class Logistic(NamedTuple):
    """What makes a probe of its vector: p(h) = 1 / (1 + exp(-(steepness * vector . h + bias)))."""

    steepness: float
    bias: float


@dataclass(frozen=True)
class SteeringVectors:
    """One vector [H] per layer, all of one site.

    `residual_norms` are mean norms of the residual stream after the layers, whatever the site;
    imported vectors may lack them. `probes` are there for vectors that are a probe's weights.
    """

    site: Site
    vectors: Mapping[int, Array]
    residual_norms: Mapping[int, float]
    facts: Mapping[str, str] = field(default_factory=dict)
    probes: Mapping[int, Logistic] = field(default_factory=dict)

    def unit(self, layer: int) -> float:
        """The norm of one unit of dose at a layer, in the vector's own length."""
        return self.residual_norms[layer] / self.vectors[layer].norm


def write_vectors(vectors: SteeringVectors, path: Path | str) -> None:
    """Write a file; raises FieldError where it cannot be written."""
    from safetensors.torch import save_file  # it imports torch, which reading a vector does not

    metadata = {"format": FORMAT, "site": vectors.site, "facts": json.dumps(dict(vectors.facts))}
    for layer, norm in vectors.residual_norms.items():
        metadata[f"residual_norm.{layer}"] = repr(norm)
    for layer, probe in vectors.probes.items():
        metadata[f"probe.{layer}"] = json.dumps(probe)
    tensors = {f"layer.{layer}": vector.tensor() for layer, vector in vectors.vectors.items()}
    try:
        with replace_file(Path(path)) as part:
            save_file(tensors, part, metadata)
    except (OSError, SafetensorError) as error:
        why = getattr(error, "strerror", None) or error
        raise FieldError(
            "intervention.vector.file", f"{path}: cannot be written: {why}; choose another output"
        ) from error


def read_vectors(path: Path | str) -> SteeringVectors:
    """Read a file that `write_vectors` wrote; raises FieldError for whatever is not one."""
    try:
        check_file(path)
        with safe_open(path, framework="pt") as file:
            metadata: dict[str, str] = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        why = getattr(error, "strerror", None) or error
        raise _unusable(path, f"cannot be read as safetensors: {why}") from error
    if metadata.get("format") != FORMAT:
        found = metadata.get("format", "none")
        raise _unusable(path, f"its format is {found!r}, not {FORMAT!r}")
    try:
        return _vectors(metadata, tensors)
    except FieldError as error:
        raise _unusable(path, error.problem) from error


def _vectors(metadata: Mapping[str, str], tensors: Mapping[str, torch.Tensor]) -> SteeringVectors:
    site: Any = metadata.get("site")
    if site not in get_args(Site):
        raise _problem(f"its site is {site!r}; known are {', '.join(get_args(Site))}")
    vectors: dict[int, Array] = {}
    norms: dict[int, float] = {}
    probes: dict[int, Logistic] = {}
    for name, tensor in tensors.items():
        match = _LAYER.fullmatch(name)
        if match is None or tensor.ndim != 1:
            shape = list(tensor.shape)
            raise _problem(f"tensor {name} of shape {shape} is not a vector `layer.N` of shape [H]")
        layer = int(match.group(1))
        vectors[layer] = _finite(tensor, name)
        norm = metadata.get(f"residual_norm.{layer}")
        if norm is not None:
            norms[layer] = _length(norm, layer)
        probe = metadata.get(f"probe.{layer}")
        if probe is not None:
            probes[layer] = _logistic(probe, layer)
    if not vectors:
        raise _problem("it holds no vector")
    ordered = sorted(vectors)
    facts = json.loads(metadata.get("facts", "{}"))
    return SteeringVectors(
        site,
        {layer: vectors[layer] for layer in ordered},
        {layer: norms[layer] for layer in ordered if layer in norms},
        {str(key): str(value) for key, value in facts.items()},
        {layer: probes[layer] for layer in ordered if layer in probes},
    )


def _finite(tensor: torch.Tensor, name: str) -> Array:
    try:
        return Array(tensor)
    except FieldError as error:
        raise _problem(f"tensor {name}: {error.problem}") from error


def _length(text: str, layer: int) -> float:
    try:
        norm = float(text)
    except ValueError:
        norm = math.nan
    if not 0 < norm < math.inf:
        raise _problem(f"its residual_norm.{layer} is {text!r}; expected a positive number")
    return norm


def _logistic(text: str, layer: int) -> Logistic:
    try:
        steepness, bias = map(float, json.loads(text))
    except (TypeError, ValueError):
        steepness = bias = math.nan
    if not (math.isfinite(steepness) and math.isfinite(bias)):
        raise _problem(f"its probe.{layer} is {text!r}; expected [steepness, bias]")
    return Logistic(steepness, bias)


def _problem(text: str) -> FieldError:
    return FieldError("intervention.vector.file", text)


def _unusable(path: Path | str, problem: str) -> FieldError:
    remedy = "`titrate vectors build` writes such files, `titrate vectors import` converts others"
    return FieldError("intervention.vector.file", f"{path}: {problem}; {remedy}")
