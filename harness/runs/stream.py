"""All that the cases of a model ask, as one stream: it runs as far as a case needs, and rests.

What the completion store holds comes first and costs the engine nothing; what the engine makes is
stored before it is used. All baselines run before the first intervention, in a stream of their own:
no hook exists on the model while it is measured untouched. Baselines that another worker makes come
from the store when they are there, and at the very end, in a stream of their own again, when they
are not (`sharing.py`). What a case asks because of replies that it got (`source.py`) is asked when
the stream of these has ended.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Sequence

from harness.engines.contract import Asked
from harness.resolve.progress import Counts, Progress
from harness.runs.asking import Asking, Done
from harness.runs.waiting import Waiting

#: Between so many completions of its own a process looks for those that others have made.
_LOOK_EVERY = 16


class Stream:
    """Has asked what cases wait for, each distinct request once.

    Args:
        asking: Finds replies in the store, or has them made.
        waiting: Which cases wait for what.
        untouched: What baselines ask.
        touched: What all other cases ask.
        awaited: Those of the untouched that another worker makes first.
        counts: Where the whole run stands; added to.
        progress: Told of every reply.
    """

    def __init__(
        self,
        asking: Asking,
        waiting: Waiting,
        *,
        untouched: Sequence[Asked],
        touched: Sequence[Asked],
        awaited: Sequence[Asked],
        counts: Counts,
        progress: Progress,
    ) -> None:
        self._asking = asking
        self._waiting = waiting
        self._awaited = dict.fromkeys(awaited)
        self._untouched = [each for each in untouched if each not in self._awaited]
        self._touched = touched
        self._counts = counts
        self._progress = progress
        self._made = Counter[str]()
        self._made_in_all = 0
        self._replies = self._run()

    def run_until_done(self, case: str) -> None:
        """Go on until a case, by its id, has all replies that it waits for."""
        looked = -_LOOK_EVERY
        while self._waiting[case]:
            if self._awaited and self._counts.requests_done - looked >= _LOOK_EVERY:
                self._look_for_awaited()
                looked = self._counts.requests_done
            else:
                self.advance()

    def advance(self) -> None:
        """Take one reply to the addresses that wait for it."""
        self._take(next(self._replies))

    def share(self, case: str) -> float:
        """The part of all tokens made in this run that were made for a case, by its id."""
        made = self._made[case]
        return made / self._made_in_all if made else 0.0

    def close(self) -> None:
        """Make nothing more."""
        self._replies.close()

    def _run(self) -> Generator[Done]:
        """Every distinct request once, one stream after the other; first what is stored of it."""
        yield from self._asking.run(self._untouched, self._touched)
        yield from self._ask_grown()
        yield from self._asking.run(self._touched)
        yield from self._ask_grown()
        if self._awaited:
            self._asking.refresh()
        missing = list(self._awaited)
        self._awaited.clear()
        yield from self._asking.run(missing)
        yield from self._ask_grown()

    def _ask_grown(self) -> Generator[Done]:
        """What cases have come to ask by now; other workers may have had the same replies."""
        while grown := self._waiting.grown:
            self._waiting.grown = []
            self._asking.refresh()
            yield from self._asking.run(grown)

    def _look_for_awaited(self) -> None:
        """Take what other workers have made meanwhile of the baselines that were left to them."""
        self._asking.refresh()
        for request in list(self._awaited):
            found = self._asking.find(request)
            if found is not None:
                self._take(found)

    def _take(self, done: Done) -> None:
        """Bring one reply to the addresses that wait for it."""
        self._awaited.pop(done.asked, None)
        tokens = 0 if done.stored else done.tokens
        grown = len(self._waiting.grown)
        stored = self._asking.keeps and done.reply.error is None
        for address in self._waiting.take(done.asked, done.reply, stored=stored):
            self._made[address.case] += tokens
            self._made_in_all += tokens
        self._counts.requests_total += len(self._waiting.grown) - grown
        self._counts.requests_done += 1
        self._counts.requests_stored += done.stored
        self._counts.tokens += tokens
        self._progress.update(self._counts)
