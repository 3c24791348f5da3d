"""A run that came to its end, by whichever way of running it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    # Not at run time: it imports torch, which the controller of workers does not need.
    from harness.runs.conclude import Finished


@dataclass(frozen=True)
class Ended:
    """A run whose report is written; `loads` are model loads by worker."""

    finished: Finished
    loads: Mapping[str, int] = field(default_factory=dict)
