"""Steering vectors in torch's own files (.pt), as CAA and the package steering-vectors keep them.

    CAA               one tensor [H] per file; the layer is in its name: vec_layer_13_NAME.pt
    steering-vectors  {"layer_activations": {layer: tensor [H]}, "layer_type": "decoder_block"}, the
                      fields of its SteeringVector, or the inner mapping alone

Such files are pickles. They are read by torch's restricted unpickler, which knows tensors and plain
containers: a file that names anything else, an object of a class or a function to call, is refused
by that name, and nothing of it is executed.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from harness.errors import FieldError, VectorError
from harness.files.atomic import replace_file
from harness.files.given import check_file
from harness.interventions.array import Array
from harness.interventions.steering_terms import Site
from harness.interventions.vector_file import SteeringVectors

_SITES: dict[str, Site] = {"decoder_block": "block", "self_attn": "attention", "mlp": "mlp"}
_REFUSED = re.compile(r"GLOBAL (\S+)")
_NAMED_LAYER = re.compile(r"layer[_-]?(\d+)")


def read_torch(path: Path, layer: int | None = None) -> SteeringVectors:
    """The vectors of a file; `layer` says which a bare tensor is of, if its name does not.

    Raises VectorError for a file of anything else, and for a pickle that holds more than tensors.
    """
    content = _content(path)
    if isinstance(content, torch.Tensor):
        return SteeringVectors("block", {_layer(path, layer): _vector(path, "", content)}, {})
    kind = "decoder_block"
    if isinstance(content, Mapping) and "layer_activations" in content:
        kind = content.get("layer_type", kind)
        content = content["layer_activations"]
    if kind not in _SITES:
        raise VectorError(
            f"{path}: its layer_type is {kind!r}; vectors of {', '.join(_SITES)} can be used"
        )
    if not isinstance(content, Mapping) or not content:
        raise VectorError(f"{path}: holds a {type(content).__name__}; {_EXPECTED}")
    vectors = {}
    for name, tensor in content.items():
        if type(name) is not int or name < 0 or not isinstance(tensor, torch.Tensor):
            raise VectorError(
                f"{path}: its entry {name!r} is a {type(tensor).__name__}; {_EXPECTED}"
            )
        vectors[name] = _vector(path, f"layer {name}: ", tensor)
    return SteeringVectors(_SITES[kind], {each: vectors[each] for each in sorted(vectors)}, {})


def write_steering_vectors(vectors: SteeringVectors, path: Path) -> None:
    """Write the fields of a SteeringVector: `SteeringVector(**torch.load(path))` reads them."""
    kind = next(name for name, site in _SITES.items() if site == vectors.site)
    tensors = {layer: vector.tensor() for layer, vector in vectors.vectors.items()}
    with replace_file(path) as part:
        torch.save({"layer_activations": tensors, "layer_type": kind}, part)


def write_caa(vectors: SteeringVectors, path: Path) -> None:
    """Write one vector as a bare tensor, whose layer its name should say.

    Raises VectorError for several vectors, and for another site than the block's output.
    """
    if len(vectors.vectors) != 1 or vectors.site != "block":
        held = ", ".join(map(str, vectors.vectors))
        raise VectorError(
            f"{path}: a CAA file holds one vector of a block's output, and these are of layers "
            f"{held} at site {vectors.site}; choose one with --layer"
        )
    (vector,) = vectors.vectors.values()
    with replace_file(path) as part:
        torch.save(vector.tensor(), part)


_EXPECTED = "expected a tensor [H], or a mapping from layers to tensors [H]"


def _content(path: Path) -> Any:
    try:
        check_file(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of old pickle protocols; refused below if it matters
            return torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise VectorError(f"{path}: cannot be read: {error.strerror or error}") from error
    except Exception as error:  # torch raises a different type for every kind of broken file
        refused = _REFUSED.search(str(error))
        if refused is not None:
            raise VectorError(
                f"{path}: holds {refused.group(1)}, which is not a tensor, and was not executed; "
                "save "
                "the vectors as tensors (of a SteeringVector, its layer_activations)"
            ) from error
        problem = (str(error).splitlines() or [type(error).__name__])[0]
        raise VectorError(f"{path}: cannot be read as tensors ({problem}); {_EXPECTED}") from error


def _layer(path: Path, layer: int | None) -> int:
    if layer is not None:
        return layer
    named = _NAMED_LAYER.search(path.stem)
    if named is None:
        raise VectorError(
            f"{path}: neither the file nor its name says which layer its vector is of; give --layer"
        )
    return int(named.group(1))


def _vector(path: Path, where: str, tensor: torch.Tensor) -> Array:
    shape = list(tensor.shape)
    flat = tensor.squeeze(0) if tensor.ndim == 2 else tensor
    if flat.ndim != 1 or not flat.is_floating_point():
        raise VectorError(
            f"{path}: {where}a tensor of shape {shape} and type {tensor.dtype}; {_EXPECTED}"
        )
    try:
        return Array(flat)
    except FieldError as error:
        raise VectorError(f"{path}: {where}{error.problem}") from error
