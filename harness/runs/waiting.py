"""Who waits for which reply: what cases have asked, what they got, and what they ask because of it.

What several addresses ask is asked once: together, and what cases come to ask late also where
another one had it answered before. Replies beyond so many tokens are not held: they stay in the
store, and are read again when their case has all of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from harness.engines.contract import Asked, Completion, Reply, Request, Scoring
from harness.errors import StoreError
from harness.runs.plan import Address
from harness.runs.source import Addressed, Requests

#: Tokens of replies, and of the completions of results, that a process holds in memory.
HELD = 1_000_000


class Waiting:
    """The sources of all cases of a run, by their ids, and the replies to them.

    `stored` finds a reply in the store.
    """

    def __init__(self, stored: Callable[[Asked], Reply | None] = lambda _: None) -> None:
        self._stored = stored
        self._held = 0
        self.grown: list[Asked] = []
        """What cases have come to ask by now; `stream.py` has it answered and empties the list."""
        self._sources: dict[str, Requests] = {}
        self._steps = Counter[str]()
        self._addresses: dict[Asked, list[Address]] = {}
        self._missing = Counter[str]()
        self._replies: dict[str, dict[Address, Reply | Asked]] = {}
        self._answered: dict[Asked, Reply | Asked] = {}

    def __getitem__(self, case: str) -> int:
        """How many replies a case waits for."""
        return self._missing[case]

    def begin(self, case: str, source: Requests) -> Sequence[Addressed]:
        """Have a case ask; what that is at first, every address of it."""
        first = source.next(0, {})
        self._sources[case] = source
        self._expect(first)
        return first

    def refuse(self, refused: Mapping[Address, str]) -> None:
        """Answer addresses that have nothing to ask, with the reason."""
        for address, reason in refused.items():
            self._note(address, Completion((), "", "error", error=reason))

    def take(self, asked: Asked, reply: Reply, *, stored: bool = False) -> list[Address]:
        """Bring a reply to the addresses that wait for it, and let their cases ask for more.

        `stored` says that it can be found again.
        """
        addresses = self._addresses.pop(asked)
        noted = asked if stored and self._held >= HELD else reply
        for address in addresses:
            self._note(address, noted)
            self._missing[address.case] -= 1
        if any(address.step for address in addresses):
            self._answered[asked] = noted
        for case in dict.fromkeys(address.case for address in addresses):
            if not self._missing[case]:
                self._grow(case)
        return addresses

    def replies(self, case: str) -> Mapping[Address, Reply]:
        """All that a case got, which is forgotten with this."""
        own = self._replies.pop(case)
        self._held -= sum(map(_size, own.values()))
        return _Read(own, self._stored)

    def _grow(self, case: str) -> None:
        while not self._missing[case]:
            step = self._steps[case]
            self._steps[case] += 1
            seen = {at: reply for at, reply in self._replies[case].items() if at.step == step}
            addressed = self._sources[case].next(step + 1, _Read(seen, self._stored))
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

    def _note(self, address: Address, reply: Reply | Asked) -> None:
        self._replies.setdefault(address.case, {})[address] = reply
        self._held += _size(reply)


class _Read(Mapping[Address, Reply]):
    """Replies by their addresses; those that are not held are read when they are looked at."""

    def __init__(
        self, noted: Mapping[Address, Reply | Asked], stored: Callable[[Asked], Reply | None]
    ) -> None:
        self._noted = noted
        self._stored = stored

    def __getitem__(self, address: Address) -> Reply:
        noted = self._noted[address]
        if not isinstance(noted, Request | Scoring):
            return noted
        found = self._stored(noted)
        if found is None:
            raise StoreError(
                f"{address.case}: the reply to {address.sample}, draw {address.draw}, was taken "
                "from the store while the run went on; run the same command again"
            )
        return found

    def __iter__(self) -> Iterator[Address]:
        return iter(self._noted)

    def __len__(self) -> int:
        return len(self._noted)


def _size(noted: Reply | Asked) -> int:
    """Tokens that are held."""
    if isinstance(noted, Completion):
        return len(noted.tokens)
    return 0 if isinstance(noted, Request | Scoring) else noted.tokens
