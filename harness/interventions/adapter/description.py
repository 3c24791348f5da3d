"""What an adapter does to a model: which one it is, by content, and its scale.

The numbers of an adapter are as many as those of a small model, so that a description holds their
hash, as an engine's fingerprint does of weights, and where they were found.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from harness.interventions.adapted_weights import AdaptedWeights, Factors
from harness.interventions.adapter import lora


class Adapter(AdaptedWeights):
    """A LoRA adapter at a scale."""

    kind: Literal["adapter"] = "adapter"
    content: str
    """Hash of the adapter's numbers."""
    folder: str
    """Where PEFT's files lie; no part of what it does."""
    name: str = ""
    """What a spec calls it; no part of what it does."""

    @property
    def digest(self) -> str:
        """The hash of its numbers."""
        return self.content

    def modules(self) -> tuple[str, ...]:
        """The modules that its file has factors of."""
        return self._modules

    @cached_property
    def _modules(self) -> tuple[str, ...]:
        return lora.described(Path(self.folder)).modules

    def factors(self) -> Mapping[str, Factors]:
        """The factors, read from its file. Raises `FieldError` where that has changed since."""
        return lora.factors(self.folder, self.content)

    def files(self) -> str:
        """Its folder."""
        return self.folder

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Adapter) and self.fingerprint() == other.fingerprint()

    def __hash__(self) -> int:
        return hash(self.fingerprint())

    def described(self) -> dict[str, Any]:
        """Its name, hash and scale; the folder is this machine's."""
        return {**super().described(), "folder": Path(self.folder).name}

    def in_words(self) -> str:
        """Its name and scale."""
        return f"{self.name or Path(self.folder).name} x {self.scale:g}"
