"""The road of token ids: they go to vLLM's server and come back, and nothing is decoded on the way.

The server is told to end at the tokens that end a sequence here, and to give what it generated as
ids with their log-probabilities, which are the model's own there, before temperature and cuts. How
a sequence ends, and what its text is, follows from the ids by the rules of every engine.
"""

from __future__ import annotations

import math
from typing import Any

from harness.engines.contract import Completion, FinishReason, Request, Scoring
from harness.engines.decoding.endings import Endings
from harness.engines.served.answers import ServerAnswer, ServerChoice, Unusable, answer_of, ended
from harness.engines.served.bodies import drawing, vllm_drawing
from harness.engines.served.client import Call
from harness.engines.served.road import PROBE, Known, Told

_PATH = "/completions"
_DROPPED = (
    "the server's answer has no token ids, though return_token_ids asked for them; use vLLM's "
    "server, or engine.road: text"
)


class TokensRoad:
    """As every road. `name` is what the server calls the model."""

    def __init__(self, name: str, known: Known) -> None:
        self._name = name
        self._known = known
        self._endings = Endings(known)

    @property
    def tokenizer(self) -> Any:
        """The model's own."""
        return self._known.tokenizer

    @property
    def vocabulary(self) -> int:
        """How many token ids the model has."""
        return self._known.vocabulary

    @property
    def longest(self) -> int:
        """Tokens of the longest context and continuation that are scored."""
        return self._known.context - 1

    def call(self, request: Request) -> Call:
        """As every road."""
        room = self._known.room(request)
        body = self._body(list(request.prompt), room) | drawing(request, "tokens")
        body |= vllm_drawing(request.sampling)
        body |= {
            "logprobs": 0,
            "ignore_eos": True,  # the end tokens are among the stop tokens
            "stop_token_ids": sorted(self._known.end_tokens | request.stop.tokens),
            "stop": list(request.stop.strings),
            "include_stop_str_in_output": True,
            "skip_special_tokens": False,
        }
        return Call(_PATH, body, len(request.prompt) + room)

    def completion(self, request: Request, document: Any) -> Completion:
        """As every road."""
        choice = self._choice(document)
        tokens, scores = _told(choice, self._known.vocabulary)
        self._check_read(choice, request.prompt)
        if len(tokens) > self._known.room(request):
            raise Unusable(f"the server gave {len(tokens)} tokens, which is more than asked for")
        told = Told(request)
        finish: FinishReason = ended(choice)
        for token in tokens:
            told.tokens.append(token)
            if reason := self._endings.reason(told):
                finish = reason
                break
        return Completion(
            tokens=tuple(told.tokens),
            text=self._endings.text(told),
            finish_reason=finish,
            log_probabilities=tuple(scores[: len(told.tokens)]),
            answer=document,
        )

    def probe(self) -> Call:
        """One token after a text, whose ids the server tells."""
        body = self._body(PROBE, 1) | {"temperature": 0.0, "add_special_tokens": False}
        return Call(_PATH, body, len(PROBE.encode()) + 1)

    def check(self, document: Any) -> ServerAnswer:
        """As every road: ids come back, and the server's tokenizer is ours."""
        choice = self._choice(document)
        _told(choice, self._known.vocabulary)
        own = self.tokenizer(PROBE, add_special_tokens=False)["input_ids"]
        try:
            self._check_read(choice, tuple(own))
        except Unusable:
            raise Unusable(
                f"the server reads {PROBE!r} as other token ids than the model's tokenizer here; "
                "name the model that it serves"
            ) from None
        return answer_of(document, self._name)

    def branch(self, scoring: Scoring, index: int) -> Call:
        """The question that scores a continuation: its tokens as a prompt, and one token more."""
        tokens = [*scoring.context, *scoring.continuations[index]]
        body = self._body(tokens, 1) | {"temperature": 0.0, "prompt_logprobs": 1}
        return Call(_PATH, body, len(tokens) + 1)

    def scores(self, scoring: Scoring, index: int, document: Any) -> tuple[list[float], list[bool]]:
        """Log-probabilities of its tokens, and whether no token is more probable.

        Raises `Unusable` where the server does not tell them.
        """
        choice, continuation = self._choice(document), scoring.continuations[index]
        self._check_read(choice, (*scoring.context, *continuation))
        entries = choice.get("prompt_logprobs")
        if entries is None:
            raise Unusable("the server's answer has no prompt_logprobs, by which tokens are scored")
        given = not scoring.context
        own: list[float] = [0.0] * given
        greedy = [False] * given
        told = entries[-len(continuation) :]
        for token, entry in list(zip(continuation, told, strict=False))[given:]:
            try:
                values = {int(key): float(each["logprob"]) for key, each in (entry or {}).items()}
                own.append(values[token])
            except (KeyError, TypeError, ValueError):
                raise Unusable(f"the server told no log-probability of token {token}") from None
            greedy.append(values[token] >= max(values.values()))
        if len(own) != len(continuation):
            raise Unusable(f"the server scored {len(entries)} tokens, not all that it was given")
        return own, greedy

    def _body(self, prompt: Any, room: int) -> dict[str, Any]:
        return {
            "model": self._name,
            "prompt": prompt,
            "max_tokens": room,
            "return_token_ids": True,
        }

    def _choice(self, document: Any) -> ServerChoice:
        return answer_of(document, self._name)["choices"][0]

    def _check_read(self, choice: ServerChoice, prompt: tuple[int, ...]) -> None:
        read = choice.get("prompt_token_ids")
        if read is not None and tuple(read) != prompt:
            raise Unusable("the server read other token ids than it was sent")


def _told(choice: ServerChoice, vocabulary: int) -> tuple[list[int], list[float]]:
    """Token ids, and their log-probabilities where there are any."""
    tokens = choice.get("token_ids")
    if tokens is None:
        raise Unusable(_DROPPED)
    outside = next((token for token in tokens if not 0 <= token < vocabulary), None)
    if outside is not None:
        raise Unusable(f"the server gave token id {outside}, outside 0..{vocabulary - 1}")
    logprobs = choice.get("logprobs") or {}
    scores = logprobs.get("token_logprobs") or []
    finite = [each for each in scores if each is not None and math.isfinite(each)]
    if scores and len(finite) != len(tokens):
        raise Unusable(
            f"the server gave {len(tokens)} tokens and {len(finite)} finite log-probabilities"
        )
    return tokens, finite
