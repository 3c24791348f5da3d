"""What a case has that reads with other engines beside its own: these engines, and their answers.

Engines that read are asked directly; what they are asked to say is stored and found again as all
that a run asks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from harness.engines.company import Company
from harness.engines.contract import Asked, Reply


@dataclass(frozen=True)
class Readers:
    """The engines of a case.

    Args:
        engines: By the names that its measure gives them; `""` is the case's own.
        ask: Answers requests and scorings, in their order.
    """

    engines: Company
    ask: Callable[[Sequence[Asked]], list[Reply]]
