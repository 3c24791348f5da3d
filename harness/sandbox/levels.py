"""How strongly model-written code can be isolated here, found by trying, strongest first.

Nothing weaker is ever taken in silence: where no level isolates, asking for one raises, unless the
plain process was allowed by name.
"""

from __future__ import annotations

import sys
from enum import StrEnum


class Level(StrEnum):
    """What stands between a completion and the machine, strongest first."""

    NAMESPACES = "namespaces"  # its own process tree, network, root and /tmp for each check
    BUBBLEWRAP = "bubblewrap"  # the same made by bwrap, shared by the checks of one interpreter
    PROCESS = "process"  # a separate process with the user's own rights


def isolating() -> tuple[Level, ...]:
    """The levels that keep code from the machine, as far as this system could have them."""
    return (Level.NAMESPACES, Level.BUBBLEWRAP) if sys.platform == "linux" else ()
