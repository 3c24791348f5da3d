"""What a server answered: its form, whether it answers what was asked, and what it cost."""

from __future__ import annotations

import json
from typing import Any, Literal, NotRequired

from pydantic import TypeAdapter, ValidationError
from typing_extensions import TypedDict  # pydantic wants it before Python 3.12


class Unusable(Exception):  # noqa: N818 - a sample has failed by it, and not the run
    """Why an answer, or its absence, leaves a sample without one; in one line."""


class ServerUsage(TypedDict):
    """What the server counted."""

    prompt_tokens: int
    completion_tokens: NotRequired[int | None]


class LogProbabilities(TypedDict):
    """Natural logarithms of the probability of every token."""

    token_logprobs: list[float | None]


class Message(TypedDict):
    """What the model said in a chat."""

    content: NotRequired[str | None]


class ServerChoice(TypedDict):
    """A completion; token ids and what concerns them are vLLM's."""

    text: NotRequired[str]
    message: NotRequired[Message]
    finish_reason: NotRequired[str | None]
    logprobs: NotRequired[LogProbabilities | Any]
    token_ids: NotRequired[list[int] | None]
    prompt_token_ids: NotRequired[list[int] | None]
    prompt_logprobs: NotRequired[list[dict[str, Any] | None] | None]


class ServerAnswer(TypedDict):
    """A whole answer."""

    model: str
    choices: list[ServerChoice]
    usage: NotRequired[ServerUsage | None]
    system_fingerprint: NotRequired[str | None]


_ANSWER = TypeAdapter(ServerAnswer)


def answer_of(document: Any, model: str) -> ServerAnswer:
    """An answer of one choice by the model that was asked. Raises `Unusable` for anything else."""
    try:
        json.dumps(document, ensure_ascii=False).encode()
        answer = _ANSWER.validate_python(document)
    except UnicodeEncodeError as error:  # JSON can write it; no tokenizer and no file takes it
        half = ascii(error.object[error.start])
        raise Unusable(f"the server's answer holds {half}, half of a surrogate pair") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the answer"
        raise Unusable(f"the server's answer is of another form: {where}: {first['msg']}") from None
    if answer["model"] != model:
        raise Unusable(f"the server answered with model {answer['model']!r}, not {model!r}")
    if len(answer["choices"]) != 1:
        raise Unusable(f"the server gave {len(answer['choices'])} choices, not 1")
    return answer


def ended(choice: ServerChoice) -> Literal["stop", "length"]:
    """Raises `Unusable` for a completion that ended in any other way."""
    match choice.get("finish_reason"):
        case "stop":
            return "stop"
        case "length":
            return "length"
        case other:
            raise Unusable(f"the server ended the completion by {other!r}")


def cost_of(document: Any, most: int) -> int:
    """The tokens that an answer cost, as the server counted them; `most` where it does not say."""
    try:
        usage = _ANSWER.validate_python(document).get("usage")
    except ValidationError:
        return most
    if usage is None:
        return most
    return usage["prompt_tokens"] + (usage.get("completion_tokens") or 0)
