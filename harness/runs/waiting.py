"""Who waits for which reply: what cases have asked, what they got, and what they ask because of it.

What several places ask is asked once: together, and what cases come to ask late also where another
one had it answered before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from harness.engines.contract import Asked, Completion, Reply
from harness.runs.plan import Place
from harness.runs.source import Placed, Source


class Waiting:
    """The sources of all cases of a run, by their ids, and the replies to them."""

    def __init__(self) -> None:
        self.grown: list[Asked] = []
        """What cases have come to ask by now; `execute.py` has it answered and empties the list."""
        self._sources: dict[str, Source] = {}
        self._steps = Counter[str]()
        self._places: dict[Asked, list[Place]] = {}
        self._missing = Counter[str]()
        self._replies: dict[str, dict[Place, Reply]] = {}
        self._answered: dict[Asked, Reply] = {}

    def __getitem__(self, case: str) -> int:
        """How many replies a case waits for."""
        return self._missing[case]

    def begin(self, case: str, source: Source) -> Sequence[Placed]:
        """Have a case ask; what that is at first, every place of it."""
        first = source.next(0, {})
        self._sources[case] = source
        self._expect(first)
        return first

    def refuse(self, refused: Mapping[Place, str]) -> None:
        """Answer places that have nothing to ask, with the reason."""
        for place, reason in refused.items():
            self._note(place, Completion((), "", "error", error=reason))

    def take(self, asked: Asked, reply: Reply) -> list[Place]:
        """Bring a reply to the places that wait for it, and let their cases ask for more."""
        places = self._places.pop(asked)
        for place in places:
            self._note(place, reply)
            self._missing[place.case] -= 1
        if any(place.step for place in places):
            self._answered[asked] = reply
        for case in dict.fromkeys(place.case for place in places):
            if not self._missing[case]:
                self._grow(case)
        return places

    def replies(self, case: str) -> Mapping[Place, Reply]:
        """All that a case got, which is forgotten with this."""
        return self._replies.pop(case)

    def _grow(self, case: str) -> None:
        while not self._missing[case]:
            step = self._steps[case]
            self._steps[case] += 1
            seen = {at: reply for at, reply in self._replies[case].items() if at.step == step}
            placed = self._sources[case].next(step + 1, seen)
            if not placed:
                return
            self.grown += self._expect(placed)

    def _expect(self, placed: Iterable[Placed]) -> list[Asked]:
        """Note which case waits for what; return what no case had asked before."""
        new = []
        for place, asked in placed:
            if asked in self._answered:
                self._note(place, self._answered[asked])
                continue
            if asked not in self._places:
                self._places[asked] = []
                new.append(asked)
            self._places[asked].append(place)
            self._missing[place.case] += 1
        return new

    def _note(self, place: Place, reply: Reply) -> None:
        self._replies.setdefault(place.case, {})[place] = reply
