"""Asks a server, a bounded number of questions at a time, until its budget of tokens is spent.

- The openai library retries what times out, is turned away (429) or meets an error of the server
  (5xx), after waits that double and are jittered; what it gives up has failed.
- Requests run in an event loop of a thread of their own: a caller that takes its time between two
  answers delays none, and one that stops asking cancels what is in flight at once.
- No question is asked that could spend more than is left. After the first that does not fit, and
  where there is no server any more, nothing is asked.
- The key is in no message: whatever a server says, it is taken out.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from harness.engines.served.answers import Unusable, cost_of
from harness.errors import one_line
from harness.spec.experiment import EngineSettings

if TYPE_CHECKING:
    from openai import APIStatusError

K = TypeVar("K")

_NO_KEY = "none"


@dataclass(frozen=True)
class Call:
    """One question: where it goes, what it says, and how many tokens it can cost at most."""

    path: str
    body: dict[str, Any]
    most: int


@dataclass(frozen=True)
class Reply(Generic[K]):
    """What came of the question `of`: the server's JSON, or why there is none."""

    of: K
    document: Any = None
    error: str | None = None

    def said(self) -> Any:
        """The JSON. Raises `Unusable` where there is none."""
        if self.error is not None:
            raise Unusable(self.error)
        return self.document


class Client:
    """A connection to the server of an engine's settings. Not thread-safe.

    Args:
        settings: The engine section of a spec, checked (`checks.py`).
    """

    def __init__(self, settings: EngineSettings) -> None:
        from anyio.from_thread import start_blocking_portal
        from openai import AsyncOpenAI

        self._url = str(settings.base_url)
        self._concurrency = settings.concurrency
        self._timeout = settings.timeout
        self._limit = settings.token_limit
        self._key = os.environ.get(settings.api_key_env or "", "")
        self.spent = 0
        """Tokens, as the server counted them; of what has failed, the most that it can cost."""
        self._reserved = 0
        self._ended: str | None = None
        self._stack = ExitStack()
        self._portal = self._stack.enter_context(start_blocking_portal())
        self._client = AsyncOpenAI(
            # Without a key of its own the library would send that of OPENAI_API_KEY anywhere.
            api_key=self._key or _NO_KEY,
            base_url=self._url,
            timeout=settings.timeout,
            max_retries=settings.retries,
        )
        self._stack.callback(self._portal.call, self._client.close)

    def get(self, path: str) -> Any:
        """The JSON at a path, which may be a whole address. Raises what the library raises."""
        return self._portal.call(self._got, path)

    def ask(self, calls: Iterable[tuple[K, Call]]) -> Iterator[Reply[K]]:
        """Ask all of these and yield what comes of each, in any order."""
        waiting = deque(calls)
        flying: dict[Future[Any], tuple[K, Call]] = {}
        try:
            while waiting or flying:
                while waiting and len(flying) < self._concurrency:
                    key, call = waiting[0]
                    if self._ended is None and not self._fits(call):
                        if flying:
                            break  # these may cost less than they can
                        self._ended = self._spent_all()
                    waiting.popleft()
                    if self._ended is not None:
                        yield Reply(key, error=self._ended)
                        continue
                    self._reserved += call.most
                    flying[self._portal.start_task_soon(self._posted, call)] = key, call
                for future in wait(flying, return_when=FIRST_COMPLETED).done:
                    key, call = flying.pop(future)
                    yield self._reply(key, call, future)
        finally:
            for future, (_, call) in flying.items():
                future.cancel()
                self._reserved -= call.most
                self.spent += call.most

    def described(self, error: Exception) -> str:
        """What went wrong, in one line without the key."""
        import openai

        if isinstance(error, openai.APITimeoutError):
            said = f"no answer within {self._timeout:g} s"
        elif isinstance(error, openai.APIStatusError):
            said = f"the server answered {error.status_code}: {_message(error)}"
        elif isinstance(error, openai.APIConnectionError):
            cause = error.__cause__ or error
            said = f"no connection: {cause or type(cause).__name__}"
        elif isinstance(error, ValueError):
            said = f"the server's answer is not JSON: {error}"
        else:
            said = f"{type(error).__name__}: {error}"
        return one_line(self._without_key(said))

    def close(self) -> None:
        """End the connection and the loop's thread."""
        self._stack.close()

    async def _got(self, path: str) -> Any:
        return await self._client.get(path, cast_to=object, options={"max_retries": 0})

    async def _posted(self, call: Call) -> Any:
        return await self._client.post(call.path, body=call.body, cast_to=object)

    def _reply(self, key: K, call: Call, future: Future[Any]) -> Reply[K]:
        self._reserved -= call.most
        try:
            document = future.result()
        except Exception as error:  # whatever the library, the loop or a decoder raises
            self.spent += call.most
            why = self.described(error)
            if _is_gone(error):
                self._ended = f"{self._url} is not there any more: {why}"
            return Reply(key, error=why)
        self.spent += cost_of(document, call.most)
        return Reply(key, self._without_key_in(document))

    def _fits(self, call: Call) -> bool:
        return self._limit is None or self.spent + self._reserved + call.most <= self._limit

    def _spent_all(self) -> str:
        return (
            f"engine.token_limit {self._limit}: {self.spent} tokens are spent, and the next "
            "request may need more than is left; raise it and run again, what is stored is not "
            "asked twice"
        )

    def _without_key(self, text: str) -> str:
        return text.replace(self._key, "[key]") if self._key else text

    def _without_key_in(self, value: Any) -> Any:
        """An answer with the key taken out, should a server repeat what it was sent."""
        if isinstance(value, str):
            return self._without_key(value)
        if isinstance(value, list):
            return [self._without_key_in(each) for each in value]
        if isinstance(value, dict):
            return {self._without_key(k): self._without_key_in(v) for k, v in value.items()}
        return value


def _is_gone(error: Exception) -> bool:
    """Whether no server listens, which every later request would find, too."""
    causes: list[BaseException] = [error]
    while (cause := causes[-1].__cause__ or causes[-1].__context__) and cause not in causes:
        causes.append(cause)
    return any(type(cause).__name__ == "ConnectError" for cause in causes)


def _message(error: APIStatusError) -> str:
    """What a server said of an error, wherever it put that."""
    body = error.body
    if isinstance(body, dict):
        for name in ("message", "detail", "error"):
            if isinstance(body.get(name), str):
                return str(body[name])
    return str(body) if body else str(error.response.text)
