"""From requests and scorings to replies: those in the store first, then what engines make.

What an engine makes is stored before it is used, under its fingerprint and the content of
what was asked. Refusals are not stored: what is refused may fit another time.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from typing import NamedTuple

from harness.engines.company import Company
from harness.engines.contract import Asked, Completion, Reply, Request, Scoring
from harness.errors import StoreError
from harness.runs.watching import StreamWatch
from harness.store.completions import CompletionStore, key_of


class Done(NamedTuple):
    """What was asked and is answered, and whether it had been before."""

    asked: Asked
    reply: Reply
    stored: bool

    @property
    def tokens(self) -> int:
        """Tokens that were generated or scored."""
        if isinstance(self.reply, Completion):
            return len(self.reply.tokens)
        return self.reply.tokens


class Asking:
    """Answers what the engines of a run are asked.

    Args:
        engines: What makes the replies that are not stored.
        store: Where they are looked for and kept; none are without it.
        watch: Told of what they do.
    """

    def __init__(self, engines: Company, store: CompletionStore | None, watch: StreamWatch) -> None:
        self._engines = engines
        self._store = store
        self._watch = watch

    @property
    def keeps(self) -> bool:
        """Whether replies are stored, and can be found again."""
        return self._store is not None

    def refresh(self) -> None:
        """Find what other processes have stored since."""
        if self._store is not None:
            self._store.refresh()

    def find(self, asked: Asked) -> Done | None:
        """What the store holds, if anything."""
        if self._store is None:
            return None
        reply = self._store.reply(self._key(asked), asked)
        return None if reply is None else Done(asked, reply, stored=True)

    def missing(self, asked: Sequence[Asked]) -> int:
        """How many are not stored at this moment."""
        store = self._store
        return sum(store is None or self._key(each) not in store for each in asked)

    def run(self, asked: Sequence[Asked], following: Sequence[Asked] = ()) -> Generator[Done]:
        """Answer all of these; `following` are known to be asked next, for what is still to do."""
        missing: list[Asked] = []
        for each in asked:
            found = self.find(each)
            if found is None:
                missing.append(each)
            else:
                yield found
        if not missing:
            return
        generated = [each for each in missing if isinstance(each, Request)]
        scored = [each for each in missing if isinstance(each, Scoring)]
        later: list[Asked] = [each for each in following if isinstance(each, Request)]
        self._watch.waiting = len(generated) + self.missing(later)
        later = [each for each in following if isinstance(each, Scoring)]
        self._watch.scorings = len(scored) + self.missing(later)
        self._engines.tell(self._watch)
        # Calling the engine loads a model that was deferred: that is not the time of any token.
        self._watch.scoring = False
        if generated:
            yield from self._keep(generated, self._engines.generate(generated))
        self._watch.scoring = True
        if scored:
            yield from self._keep(scored, self._engines.score(scored))

    def _key(self, asked: Asked) -> str:
        return key_of(self._engines.fingerprint(asked), asked.key())

    def _keep(self, asked: Sequence[Asked], stream: Iterator[tuple[int, Reply]]) -> Generator[Done]:
        """Store every reply of a stream before it is used.

        One that cannot be stored any more is used all the same, and is the last one: a run of hours
        whose replies are not kept would be lost with the first accident.
        """
        for position, reply in self._timed(stream):
            done = Done(asked[position], reply, stored=False)
            if isinstance(reply, Completion):
                self._watch.ended(done.tokens, cut=reply.finish_reason == "length")
            else:
                self._watch.scored()
            full: StoreError | None = None
            if self._store is not None and reply.error is None:
                made_by = self._engines.fingerprint(done.asked)
                try:
                    self._store.put_reply(self._key(done.asked), reply, made_by)
                except StoreError as error:
                    full = error
            yield done
            if full is not None:
                raise full

    def _timed(self, stream: Iterator[tuple[int, Reply]]) -> Generator[tuple[int, Reply]]:
        """The same, with the time that the engine takes for it counted as the engine's."""
        try:
            while True:
                self._watch.resume()
                try:
                    made = next(stream, None)
                finally:
                    self._watch.pause()
                if made is None:
                    return
                yield made
        finally:
            self._watch.close()
