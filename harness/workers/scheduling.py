"""How pytest-xdist deals tests out in a run that names benches: a part of the cases to each worker.

Imported when xdist asks for a scheduler: xdist is no dependency.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling


class PartScheduling(LoadScopeScheduling):  # type: ignore[misc]  # xdist publishes no types
    """Tests of one part go to one worker, in order; any other test goes wherever there is room.

    `parts` is read when the workers have collected; it says the part of a bench's node id. Node ids
    stay as they are, which `--dist loadgroup` would change: `--last-failed` knows no `id@group`.
    """

    def __init__(
        self, config: pytest.Config, log: Producer | None, parts: Callable[[], Mapping[str, int]]
    ) -> None:
        super().__init__(config, log)
        self._read_parts = parts

    @cached_property
    def _parts(self) -> Mapping[str, int]:
        return self._read_parts()

    def _split_scope(self, nodeid: str) -> str:
        part = self._parts.get(nodeid)
        return nodeid if part is None else f"part {part} of the cases"
