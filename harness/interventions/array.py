"""An immutable float32 array that is equal to another one by content: the numbers of a vector.

Interventions are frozen and hashed for every request; tuples of thousands of floats would be
compared one by one. An array keeps its SHA-256 and is compared by it. In JSON it is its shape and
its bytes (little-endian, base64), so that a description stays complete.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from harness.errors import FieldError

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import ArrayLike, NDArray


class Array:
    """Finite float32 numbers of any shape; equal, and hashed, by content."""

    __slots__ = ("__dict__", "_values")

    def __init__(self, values: ArrayLike | torch.Tensor) -> None:
        import numpy as np  # here and below: who only reads specs waits for no numpy

        if hasattr(values, "detach"):  # a tensor; reading descriptions does not import torch
            values = values.detach().float().cpu().numpy()
        with np.errstate(over="ignore"):  # said below, as an error
            array = np.array(values, dtype="<f4", order="C", copy=True)
        if not np.isfinite(array).all():
            where = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
            raise FieldError(
                "intervention.vector",
                f"entry {list(where)} is {array[where]}; every number must be finite, and within "
                "what float32 holds (to 3.4e38)",
            )
        array.setflags(write=False)
        self._values = array

    @property
    def shape(self) -> tuple[int, ...]:
        """As numpy's."""
        return tuple(self._values.shape)

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) of shape and numbers."""
        content = f"{self.shape}".encode() + self._values.tobytes()
        return hashlib.sha256(content).hexdigest()

    @cached_property
    def norm(self) -> float:
        """Euclidean norm of all numbers."""
        import numpy as np

        return float(np.linalg.norm(self._values.astype(np.float64)))

    def numpy(self) -> NDArray[np.float32]:
        """The numbers, read-only."""
        return self._values

    def tensor(self) -> torch.Tensor:
        """A float32 copy on the CPU."""
        import torch

        return torch.from_numpy(self._values.copy())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Array) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        return f"Array(shape={self.shape}, norm={self.norm:.4g}, sha256={self.digest[:12]})"

    @classmethod
    def __get_pydantic_core_schema__(cls, _: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls.from_json,
            serialization=core_schema.plain_serializer_function_ser_schema(cls.to_json),
        )

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """The array that `to_json` described; anything else is taken as its numbers."""
        if isinstance(value, cls):
            return value
        if isinstance(value, Mapping):
            import numpy as np

            numbers = np.frombuffer(base64.b64decode(value["float32"]), dtype="<f4")
            return cls(numbers.reshape(value["shape"]))
        return cls(value)

    def to_json(self) -> dict[str, Any]:
        """Shape, and bytes as base64."""
        text = base64.b64encode(self._values.tobytes()).decode("ascii")
        return {"shape": list(self.shape), "float32": text}
