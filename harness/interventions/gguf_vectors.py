"""Control vectors in GGUF, the format of repeng and llama.cpp: tensors `direction.N` of shape [H].

N is the layer whose output the direction is added to, counted from 0, as everywhere here. Two
habits of repeng matter to a reader: it leaves layer 0 out by default (llama.cpp refuses it), and it
reads the last layer's states after the model's final norm, so that this direction is not one of
that layer's output. Needs the package `gguf` (extra `gguf`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.errors import FieldError, VectorError
from harness.files.atomic import replace_file
from harness.files.given import check_file
from harness.interventions.array import Array
from harness.interventions.vector_file import SteeringVectors

_ARCHITECTURE = "controlvector"
_HINT = f"{_ARCHITECTURE}.model_hint"
#: What the format has no place for, kept under keys that other readers pass by.
_FACTS, _NORMS = "titrate.facts", "titrate.residual_norms"
_DIRECTION = re.compile(r"direction\.(\d+)")
_TYPES = ("F32", "F16", "F64")


def read_gguf(path: Path) -> SteeringVectors:
    """The directions of a control vector; raises VectorError for whatever is none."""
    gguf = _package()
    try:
        check_file(path)
        reader = gguf.GGUFReader(path)
        fields = {name: field.contents() for name, field in reader.fields.items()}
        tensors = list(reader.tensors)
    except Exception as error:  # its reader indexes into whatever the file holds
        why = getattr(error, "strerror", None) or error
        raise VectorError(f"{path}: cannot be read as GGUF ({why})") from error
    architecture = fields.get("general.architecture")
    if architecture != _ARCHITECTURE:
        raise VectorError(
            f"{path}: its architecture is {architecture!r}, not {_ARCHITECTURE!r}: it is no "
            "control vector"
        )
    vectors: dict[int, Array] = {}
    for tensor in tensors:
        match = _DIRECTION.fullmatch(tensor.name)
        if match is None or tensor.data.ndim != 1 or tensor.tensor_type.name not in _TYPES:
            shape = [int(size) for size in tensor.shape]
            raise VectorError(
                f"{path}: tensor {tensor.name} of shape {shape} and type "
                f"{tensor.tensor_type.name} is no `direction.N` of shape [H] in "
                f"{', '.join(_TYPES)}"
            )
        try:
            vectors[int(match.group(1))] = Array(tensor.data)
        except FieldError as error:
            raise VectorError(f"{path}: tensor {tensor.name}: {error.problem}") from error
    if not vectors:
        raise VectorError(f"{path}: it holds no direction")
    facts = {"model_type": str(fields.get(_HINT, "unknown"))} | _json(fields, _FACTS, path)
    norms = {int(layer): float(norm) for layer, norm in _json(fields, _NORMS, path).items()}
    ordered = {layer: vectors[layer] for layer in sorted(vectors)}
    return SteeringVectors("block", ordered, norms, facts)


def write_gguf(vectors: SteeringVectors, path: Path) -> None:
    """Write a control vector that repeng and llama.cpp read.

    Raises VectorError for another site than the block's output, which the format has no word for.
    """
    gguf = _package()
    if vectors.site != "block":
        raise VectorError(
            f"{path}: control vectors are added to the outputs of blocks, and these are of site "
            f"{vectors.site}; use the format steering-vectors"
        )
    with replace_file(path) as part:
        writer = gguf.GGUFWriter(part, _ARCHITECTURE)
        writer.add_string(_HINT, vectors.facts.get("model_type", "unknown"))
        writer.add_uint32(f"{_ARCHITECTURE}.layer_count", len(vectors.vectors))
        writer.add_string(_FACTS, json.dumps(dict(vectors.facts)))
        writer.add_string(_NORMS, json.dumps(dict(vectors.residual_norms)))
        for layer, vector in vectors.vectors.items():
            writer.add_tensor(f"direction.{layer}", vector.numpy())
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()


def _json(fields: Mapping[str, Any], key: str, path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(fields.get(key, "{}")))
    except (ValueError, TypeError) as error:
        raise VectorError(f"{path}: its {key} is not a JSON object ({error})") from error


def _package() -> Any:
    try:
        import gguf  # an extra
    except ImportError as error:
        raise VectorError(
            "control vectors (.gguf) need the package gguf; pip install 'pytest-titrate[gguf]'"
        ) from error
    return gguf
