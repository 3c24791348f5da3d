"""The road of text: completions of text, with a check that nothing is lost on the way.

A server puts around a text whatever its tokenizer puts there, such as a first token, and reads it
as ids. What is sent is the text that our tokenizer reads as the ids of the request, in the same
way; there may be none, and then the request is refused. What comes back is encoded, and must decode
to what came. Nothing tells of a token that ended it, and of log-probabilities there are none.
"""

from __future__ import annotations

from typing import Any

from harness.engines.contract import Completion, Request
from harness.engines.decoding.endings import Endings
from harness.engines.served.answers import ServerAnswer, Unusable, answer_of, ended
from harness.engines.served.bodies import drawing
from harness.engines.served.client import Call
from harness.engines.served.road import PROBE, Known, Told
from harness.errors import RequestError

_PATH = "/completions"
_QUOTED = 80


class TextRoad:
    """As every road. `name` is what the server calls the model."""

    def __init__(self, name: str, known: Known) -> None:
        self._name = name
        self._known = known
        self._endings = Endings(known)

    @property
    def tokenizer(self) -> Any:
        """The model's own."""
        return self._known.tokenizer

    def call(self, request: Request) -> Call:
        """As every road."""
        room = self._known.room(request)
        if request.stop.tokens:
            raise RequestError("a server is not told of stop tokens on road text; use road tokens")
        body = {"model": self._name, "prompt": self._text(request.prompt), "max_tokens": room}
        body |= drawing(request, "text")
        if request.stop.strings:
            body["stop"] = list(request.stop.strings)
        return Call(_PATH, body, len(request.prompt) + room)

    def completion(self, request: Request, document: Any) -> Completion:
        """As every road."""
        answer = answer_of(document, self._name)
        self._check_read(answer, len(request.prompt))
        choice = answer["choices"][0]
        text = choice.get("text")
        if text is None:
            raise Unusable("the server's answer has no text")
        tokens = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        if self.tokenizer.decode(tokens) != text:
            raise Unusable(f"the model's tokenizer loses some of the answer {text[:_QUOTED]!r}")
        told = Told(request, list(tokens))
        return Completion(tuple(tokens), self._endings.text(told), ended(choice), answer=document)

    def probe(self) -> Call:
        """One token after a text, whose length in tokens the server tells."""
        body = {"model": self._name, "prompt": PROBE, "max_tokens": 1, "temperature": 0.0}
        return Call(_PATH, body, len(PROBE.encode()) + 1)

    def check(self, document: Any) -> ServerAnswer:
        """As every road: the server reads a text as long as we do."""
        answer = answer_of(document, self._name)
        self._check_read(answer, len(self.tokenizer(PROBE)["input_ids"]))
        return answer

    def _check_read(self, answer: ServerAnswer, length: int) -> None:
        usage = answer.get("usage")
        if usage is not None and usage["prompt_tokens"] != length:
            raise Unusable(
                f"the server read {usage['prompt_tokens']} tokens where the model's tokenizer "
                f"reads {length}; name the model that it serves, or use engine.road: tokens"
            )

    def _text(self, prompt: tuple[int, ...]) -> str:
        """The text that is read as these ids. Raises `RequestError` where there is none."""
        ids = list(prompt)
        for begin in (0, 1):  # with its first token, or where the tokenizer adds that itself
            text = str(self.tokenizer.decode(ids[begin:]))
            if self.tokenizer(text)["input_ids"] == ids:
                return text
        raise RequestError(
            f"no text is read as these tokens: {self.tokenizer.decode(ids)[-_QUOTED:]!r} is read "
            "as others; use engine.road: tokens"
        )
