"""Files of steering vectors in the formats of the field, by what their names end in.

.safetensors  our own: all that is known of the vectors (`vector_file`)
.gguf         control vectors of repeng and llama.cpp (`gguf_vectors`)
.pt .pth      CAA, and the package steering-vectors (`torch_vectors`)
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, TypeAlias

from harness.errors import FieldError, VectorError
from harness.interventions.gguf_vectors import read_gguf, write_gguf
from harness.interventions.torch_vectors import read_torch, write_caa, write_steering_vectors
from harness.interventions.vector_file import SteeringVectors, read_vectors, write_vectors

#: Formats that vectors are exported in.
Format: TypeAlias = Literal["repeng", "steering-vectors", "caa"]
_WRITERS = {"repeng": write_gguf, "steering-vectors": write_steering_vectors, "caa": write_caa}
_BY_SUFFIX: dict[str, Format] = {
    ".gguf": "repeng",
    ".pt": "steering-vectors",
    ".pth": "steering-vectors",
}


def read_any(path: Path, layer: int | None = None) -> SteeringVectors:
    """The vectors of a file of any format; raises VectorError for one that has none of them."""
    if path.suffix == ".safetensors":
        try:
            return read_vectors(path)
        except FieldError as error:
            raise VectorError(error.problem) from error
    if path.suffix == ".gguf":
        return read_gguf(path)
    if path.suffix in _BY_SUFFIX:
        return read_torch(path, layer)
    known = ", ".join((".safetensors", *_BY_SUFFIX))
    raise VectorError(f"{path}: is not a known kind of file; expected one of {known}")


def write_as(vectors: SteeringVectors, path: Path, form: Format | None) -> None:
    """Write a file in a format, or in the one that its name says."""
    form = form or _BY_SUFFIX.get(path.suffix)
    if form is None:
        raise VectorError(
            f"{path}: its name says no format; end it in {', '.join(_BY_SUFFIX)}, or give --format"
        )
    try:
        _WRITERS[form](vectors, path)
    except OSError as error:
        raise VectorError(
            f"{path}: cannot be written: {error.strerror or error}; choose another output"
        ) from error


def write_own(vectors: SteeringVectors, path: Path) -> None:
    """Write a .safetensors file; raises VectorError where it cannot be written."""
    if path.suffix != ".safetensors":
        raise VectorError(f"{path}: vectors are written as safetensors; end it in .safetensors")
    try:
        write_vectors(vectors, path)
    except FieldError as error:
        raise VectorError(error.problem) from error


def joined(parts: Sequence[tuple[Path, SteeringVectors]]) -> SteeringVectors:
    """The vectors of several files as one; raises VectorError where they do not fit together."""
    path, whole = parts[0]
    for other, more in parts[1:]:
        shared = sorted(whole.vectors.keys() & more.vectors.keys())
        if shared:
            raise VectorError(f"{other}: has a vector of layer {shared[0]}, which {path} has too")
        if more.site != whole.site or _width(more) != _width(whole):
            raise VectorError(
                f"{other}: vectors of width {_width(more)} and site {more.site} do not go with "
                f"those of {path}, of width {_width(whole)} and site {whole.site}"
            )
        vectors = {**whole.vectors, **more.vectors}
        whole = SteeringVectors(
            whole.site,
            {layer: vectors[layer] for layer in sorted(vectors)},
            {**whole.residual_norms, **more.residual_norms},
            {**more.facts, **whole.facts},
            {**whole.probes, **more.probes},
        )
    widths = {vector.shape[0] for vector in whole.vectors.values()}
    if len(widths) > 1:
        raise VectorError(f"{path}: its vectors are of different widths {sorted(widths)}")
    return whole


def _width(vectors: SteeringVectors) -> int:
    return next(iter(vectors.vectors.values())).shape[0]
