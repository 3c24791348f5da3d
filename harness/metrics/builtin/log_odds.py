"""`log_odds`: how much more probable the one than the other is at the end of the prompt.

    log_odds = log sum of p(each of `of`) - log sum of p(each of `against`)

A text is a continuation of the prompt by one token or by several; its probability is the product
of theirs. Nothing of a completion is in it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, JsonValue

from harness.engines.contract import Asked, Scored, Scoring
from harness.errors import FieldError, MetricError
from harness.metrics.entry import Asker, Asks, MetricEntry, Seen
from harness.metrics.kind import Checking, MetricKind
from harness.spec.metric import MetricSettings

Texts = Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1)]
Tokens = tuple[int, ...]


class LogOddsSettings(MetricSettings):
    """The log-odds of texts that may follow the prompt, against other ones."""

    kind: Literal["log_odds"]
    """The kind of metric is log_odds: how much more probable some texts are behind the prompt than
    other ones, in nats."""
    of: Texts
    """The texts whose probabilities are added up, such as [" yes", " Yes"]. Each follows the prompt
    as it is, so that a blank in between is part of the text."""
    against: Texts
    """The texts that these are held against, such as [" no", " No"]."""


def _made(settings: LogOddsSettings) -> MetricEntry:
    texts = [*settings.of, *settings.against]

    def ask(seen: Seen, asker: Asker) -> list[Asked]:
        following = behind(asker.tokenizer, seen.prompt, texts)
        problem = ambiguous(asker.tokenizer, following)
        if problem is not None:
            raise MetricError(problem)
        return [Scoring(asker.prompt, tuple(following.values()), asker.intervention)]

    def value(seen: Seen) -> JsonValue:
        sums = [sum(values) for values in _scored(seen).log_probabilities]
        cut = len(settings.of)
        return _together(sums[:cut]) - _together(sums[cut:])

    shown = f"{_listed(settings.of)} against {_listed(settings.against)}"
    return MetricEntry(
        "log_odds",
        f"nats by which {shown} is more probable at the end of the prompt",
        value=value,
        asks=Asks(ask, early=True),
    )


def behind(tokenizer: Any, prompt: str, texts: Sequence[str]) -> Mapping[str, Tokens]:
    """The tokens of each text behind a prompt, as it was rendered.

    Raises:
        MetricError: the text and the end of the prompt share a token, or it has none.
    """
    alone = _encoded(tokenizer, prompt)
    found: dict[str, Tokens] = {}
    for text in texts:
        whole = _encoded(tokenizer, prompt + text)
        tokens = whole[len(alone) :]
        if whole[: len(alone)] != alone:
            shared = next(at for at, token in enumerate(alone) if whole[at : at + 1] != (token,))
            raise MetricError(
                f"{text!r} is no continuation of the prompt: its tokens are "
                f"{_shown(tokenizer, whole[shared:])}, and the prompt ends in "
                f"{_shown(tokenizer, alone[shared:])}; begin it where a token begins"
            )
        if not tokens or not _said(tokenizer, whole).endswith(text):
            raise MetricError(
                f"{text!r} is no continuation: its tokens, {_shown(tokenizer, tokens)}, say "
                "another text; write what they say"
            )
        found[text] = tokens
    return found


def ambiguous(tokenizer: Any, following: Mapping[str, Tokens]) -> str | None:
    """Which of these texts begins as another one does, so that it is no event beside that."""
    for text, tokens in following.items():
        for other, longer in following.items():
            if text != other and longer[: len(tokens)] == tokens:
                return (
                    f"{text!r}, {_shown(tokenizer, tokens)}, is how {other!r}, "
                    f"{_shown(tokenizer, longer)}, begins, so that its probability is in both; "
                    "leave one out"
                )
    return None


def _check(settings: LogOddsSettings, checking: Checking) -> None:
    """Refuse what is no continuation of the first prompt; those of other samples fail alone."""
    twice = set(settings.of) & set(settings.against)
    if twice:
        raise FieldError("against", f"{min(twice)!r} is in `of`, too; leave one out")
    for field, texts in (("of", settings.of), ("against", settings.against)):
        again = next((text for text in texts if texts.count(text) > 1), None)
        if again is not None:
            raise FieldError(field, f"{again!r} is in it twice; leave one out")
    tokenizer = checking.tokenizer()
    following: dict[str, Tokens] = {}
    for field, texts in (("of", settings.of), ("against", settings.against)):
        try:
            following |= behind(tokenizer, checking.prompt(), texts)
        except MetricError as error:
            raise FieldError(field, str(error)) from error
    problem = ambiguous(tokenizer, following)
    if problem is not None:
        raise FieldError("of", problem)


def _scored(seen: Seen) -> Scored:
    for reply in seen.replies:
        if isinstance(reply, Scored) and reply.error is None:
            return reply
        raise MetricError(f"it could not be read: {reply.error}")
    raise MetricError("one of the texts is no continuation of its prompt")


def _together(sums: Sequence[float]) -> float:
    """The logarithm of the sum of probabilities, of which the logarithms are given."""
    most = max(sums)
    return most + math.log(math.fsum(math.exp(each - most) for each in sums))


def _encoded(tokenizer: Any, text: str) -> Tokens:
    return tuple(tokenizer(text, add_special_tokens=False)["input_ids"])


def _said(tokenizer: Any, tokens: Sequence[int]) -> str:
    return str(tokenizer.decode(tokens, clean_up_tokenization_spaces=False))


def _shown(tokenizer: Any, tokens: Sequence[int]) -> str:
    return " ".join(f"{_said(tokenizer, [token])!r} ({token})" for token in tokens) or "none"


def _listed(texts: Sequence[str]) -> str:
    return " or ".join(map(repr, texts[:3])) + (", ..." if len(texts) > 3 else "")


METRIC = MetricKind(
    "log_odds",
    "how much more probable some texts are at the end of the prompt than other ones",
    LogOddsSettings,
    _made,
    check=_check,
)
