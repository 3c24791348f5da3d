"""In which order a queue is worked on: requests of similar length next to each other.

Prompts that are read in one pass are padded to the longest of them, and a step attends over the
columns of its longest sequence. On the sweep of docs/performance.md this order saves a fifth of the
time. The longest come first, so that what does not fit into memory shows at the start.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from harness.engines.contract import Request

# Requests that may be taken out of their order: early conditions of a sweep still end early.
LOOK_AHEAD = 1024

Queued = tuple[int, Request]


def by_length(
    queue: Sequence[Queued],
    *,
    siblings_apart: bool,
    together: Callable[[Request], bool] = lambda _: False,
) -> Iterator[Queued]:
    """Yield (position, request), the longest prompts of every `LOOK_AHEAD` requests first.

    `siblings_apart` takes one request of every sample, then a second one of every sample, and so
    on: a draft needs a sibling that has ended, not one that runs beside it. Requests that are to
    start `together` come prompt by prompt, wherever in the queue they are, and such prompts in the
    order of their tokens, since neighbours then begin alike.
    """
    prompts: dict[object, list[Queued]] = {}
    for position, request in queue:
        own = request.prompt if together(request) else position
        prompts.setdefault(own, []).append((position, request))
    groups = list(prompts.values())
    for start in range(0, len(groups), LOOK_AHEAD):
        turns: Counter[str] = Counter()
        keyed = []
        for group in groups[start : start + LOOK_AHEAD]:
            position, request = group[0]
            turn = turns[request.sample] if siblings_apart else 0
            turns[request.sample] += 1
            several = len(group) > 1
            length, prompt = (0, request.prompt) if several else (-len(request.prompt), ())
            keyed.append((turn, length, prompt, position, group))
        for *_, group in sorted(keyed, key=lambda item: item[:4]):
            yield from group
