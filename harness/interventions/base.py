"""What every intervention is: a frozen description with a neutral setting and a content hash.

- A description is complete: it holds the points of a mask or the numbers of a vector, never a
  path, so that equal fingerprints mean equal effects on any machine.
- Its mathematics is a pure function on tensors with a leading row axis; every row of a batch
  carries its own dose.
- Nothing here knows an engine. Engines decide where in a model the function is called: a
  description derives from the class of its mechanism (`router_logits`, `residual`,
  `next_token_logits`, `policy`), and engines know mechanisms, not kinds.
"""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import cached_property
from typing import Any, ClassVar, Self, get_args

from pydantic import BaseModel, ConfigDict

from harness.spec.engine_kind import Mechanism

MECHANISMS: tuple[Mechanism, ...] = get_args(Mechanism)


class Intervention(BaseModel, ABC):
    """A frozen, hashable description of what is done to a model while it runs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mechanism: ClassVar[Mechanism]
    """By what it acts, which is what engines go by; the class of a mechanism says it."""

    kind: str

    @abstractmethod
    def neutral(self) -> Self:
        """The same intervention at the dose that must change nothing, token for token."""

    @property
    def is_neutral(self) -> bool:
        """Whether this dose must change nothing."""
        return self == self.neutral()

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """As pydantic's, but what was computed from the old values, the digest too, is dropped."""
        copied = super().model_copy(update=update, deep=deep)
        for name in copied.__dict__.keys() - type(copied).model_fields.keys():
            del copied.__dict__[name]
        return copied

    def fingerprint(self) -> str:
        """SHA-256 (hex) of the description's content; equal content means equal effects."""
        return self._digest

    @cached_property
    def _digest(self) -> str:
        content = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(content.encode()).hexdigest()

    def described(self) -> dict[str, Any]:
        """What a report says of it, as JSON values: everything, unless that is a lot of numbers."""
        return self.model_dump(mode="json")

    def in_words(self) -> str:
        """What it does, in a few words for the names of requests; empty by default."""
        return ""

    def saturated(self, counts: Mapping[str, int]) -> str | None:  # noqa: ARG002 - for subclasses
        """Why more of it would do less or nothing more, of what was counted while it acted; None
        where nothing says so.
        """
        return None

    def first_layer(self) -> int | None:
        """The first layer in which it may change what is computed, None for none of them.

        What changes the output of a layer alone changes the next one. Below, sequences under
        different interventions compute the same. The default is right for whatever acts anywhere.
        """
        return 0

    def acts_in(self, layer: int) -> bool:  # noqa: ARG002 - for subclasses
        """Whether it may do anything in a layer, or to its output.

        The default is right for whatever acts anywhere.
        """
        return True

    def prefix_key(self, length: int, prompt: int) -> str:  # noqa: ARG002 - for subclasses
        """Fingerprint of what is done to the first `length` positions after a prompt of `prompt`.

        Two requests may share the model's state for a prefix when its tokens and this key are
        equal. The default is the whole fingerprint: right for whatever acts on every position.
        """
        return self.fingerprint() if length else ""
