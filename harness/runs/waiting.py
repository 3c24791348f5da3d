"""Who waits for which reply: what cases have asked, what they got, and what they ask because of it.

What several addresses ask is asked once: together, and what cases come to ask late also where
another one had it answered before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from harness.engines.contract import Asked, Completion, Reply
from harness.runs.plan import Address
from harness.runs.source import Addressed, Source


class Waiting:
    """The sources of all cases of a run, by their ids, and the replies to them."""

    def __init__(self) -> None:
        self.grown: list[Asked] = []
        """What cases have come to ask by now; `execute.py` has it answered and empties the list."""
        self._sources: dict[str, Source] = {}
        self._steps = Counter[str]()
        self._addresses: dict[Asked, list[Address]] = {}
        self._missing = Counter[str]()
        self._replies: dict[str, dict[Address, Reply]] = {}
        self._answered: dict[Asked, Reply] = {}

    def __getitem__(self, case: str) -> int:
        """How many replies a case waits for."""
        return self._missing[case]

    def begin(self, case: str, source: Source) -> Sequence[Addressed]:
        """Have a case ask; what that is at first, every address of it."""
        first = source.next(0, {})
        self._sources[case] = source
        self._expect(first)
        return first

    def refuse(self, refused: Mapping[Address, str]) -> None:
        """Answer addresses that have nothing to ask, with the reason."""
        for address, reason in refused.items():
            self._note(address, Completion((), "", "error", error=reason))

    def take(self, asked: Asked, reply: Reply) -> list[Address]:
        """Bring a reply to the addresses that wait for it, and let their cases ask for more."""
        addresses = self._addresses.pop(asked)
        for address in addresses:
            self._note(address, reply)
            self._missing[address.case] -= 1
        if any(address.step for address in addresses):
            self._answered[asked] = reply
        for case in dict.fromkeys(address.case for address in addresses):
            if not self._missing[case]:
                self._grow(case)
        return addresses

    def replies(self, case: str) -> Mapping[Address, Reply]:
        """All that a case got, which is forgotten with this."""
        return self._replies.pop(case)

    def _grow(self, case: str) -> None:
        while not self._missing[case]:
            step = self._steps[case]
            self._steps[case] += 1
            seen = {at: reply for at, reply in self._replies[case].items() if at.step == step}
            addressed = self._sources[case].next(step + 1, seen)
            if not addressed:
                return
            self.grown += self._expect(addressed)

    def _expect(self, addressed: Iterable[Addressed]) -> list[Asked]:
        """Note which case waits for what; return what no case had asked before."""
        new = []
        for address, asked in addressed:
            if asked in self._answered:
                self._note(address, self._answered[asked])
                continue
            if asked not in self._addresses:
                self._addresses[asked] = []
                new.append(asked)
            self._addresses[asked].append(address)
            self._missing[address.case] += 1
        return new

    def _note(self, address: Address, reply: Reply) -> None:
        self._replies.setdefault(address.case, {})[address] = reply
