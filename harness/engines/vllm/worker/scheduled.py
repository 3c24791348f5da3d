"""What vLLM's scheduler said of the running requests that we do something to.

Both of vLLM's model runners are told of requests by the same `SchedulerOutput`. This follows it, so
that nothing here depends on a runner's own tables: which request starts where in this step, and in
which blocks of the cache of keys and values it lies.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

#: Where a request carries what is done to it, in `SamplingParams.extra_args`.
KEY = "titrate"


@dataclass
class Scheduled:
    """One running request: rows of its mask, states and logits, its terms, and where it stands.

    `terms` [k, 8] are (column, alpha, first, last, origin, over, vector row, gate row), and `given`
    the doses of steps, or None, of each. `states` are a row, and the positions first <= p < last
    whose hidden states it is for. `blocks` are those of the cache; `start` is the position
    of the first token of the coming pass, and `prompt` how many tokens the prompt proper has.
    """

    mask: int
    terms: np.ndarray
    given: list[list[float] | None]
    vectors: list[int]
    counted: bool
    captured: bool
    states: tuple[int, float, float] = (0, 0.0, 0.0)
    logits: int = 0
    prompt: int = 0
    blocks: list[int] = field(default_factory=list)
    start: int = 0


class ScheduledRequests:
    """The requests that carry a payload of ours; all others are None."""

    def __init__(self, group: int = 0) -> None:
        self._group = group
        self.requests: dict[str, Scheduled] = {}
        #: Raised by whatever changes who is running.
        self.version = 0

    def finished(self, output: Any) -> list[str]:
        """Ids that ended since the last step, which a runner is about to forget."""
        return [id_ for id_ in output.finished_req_ids if id_ in self.requests]

    def forget(self, request: str) -> None:
        """A request ended, and what it counted was read."""
        if self.requests.pop(request, None) is not None:
            self.version += 1

    def update(self, output: Any) -> None:
        """Take in what the scheduler says of the coming step."""
        for new in output.scheduled_new_reqs:
            arguments = getattr(new.sampling_params, "extra_args", None) or {}
            payload = arguments.get(KEY)
            if payload is None:
                continue
            request = _scheduled(payload)
            request.blocks = list(new.block_ids[self._group])
            request.start = new.num_computed_tokens
            self.requests[new.req_id] = request
            self.version += 1
        cached = output.scheduled_cached_reqs
        for index, id_ in enumerate(cached.req_ids):
            known = self.requests.get(id_)
            if known is None:
                continue
            known.start = cached.num_computed_tokens[index]
            blocks = cached.new_block_ids[index]
            if blocks is None:
                continue
            if id_ in cached.resumed_req_ids:
                known.blocks = list(blocks[self._group])
            else:
                known.blocks.extend(blocks[self._group])


def _scheduled(payload: dict[str, Any]) -> Scheduled:
    terms = payload.get("terms") or []
    return Scheduled(
        mask=int(payload.get("mask", 0)),
        states=tuple(payload.get("states", (0, 0.0, 0.0))),
        logits=int(payload.get("logits", 0)),
        prompt=int(payload.get("prompt", 0)),
        terms=np.array([term[:8] for term in terms], dtype=np.float64).reshape(-1, 8),
        given=[term[8] for term in terms],
        vectors=[int(term[9]) for term in terms],
        counted=bool(payload.get("counted")),
        captured=bool(payload.get("captured")),
    )
