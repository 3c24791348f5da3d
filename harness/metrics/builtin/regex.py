"""`regex`: whether a completion matches a pattern, or how often."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, Literal

from pydantic import Field

from harness.errors import FieldError, MetricError
from harness.metrics.entry import Answer, MetricEntry, Seen, per_answer
from harness.metrics.kind import Checking, MetricKind
from harness.spec.metric import MetricSettings

#: Seconds that a pattern may look at one completion: a few that backtrack would never end.
LIMIT = 1.0


class RegexSettings(MetricSettings):
    """The share of completions that match a regular expression, or its matches in each."""

    kind: Literal["regex"]
    """The kind of metric is regex: completions that match a pattern."""
    pattern: Annotated[str, Field(min_length=1, max_length=2000)]
    """The regular expression, of the Python library regex, that is looked for anywhere in a
    completion."""
    of: Literal["share", "matches"] = "share"
    """What is counted: share, the default, of completions that match; matches, in each of them."""
    ignore_case: bool = False
    """Whether capitals and small letters are the same; false by default."""


@cache
def _compiled(pattern: str, *, ignore_case: bool) -> Any:
    import regex

    return regex.compile(pattern, regex.IGNORECASE if ignore_case else 0)


def _check(settings: RegexSettings, _: Checking) -> None:
    import regex

    try:
        _compiled(settings.pattern, ignore_case=settings.ignore_case)
    except regex.error as error:
        raise FieldError(
            "pattern", f"{settings.pattern!r} is not accepted; it does not compile: {error}"
        ) from error


def _made(settings: RegexSettings) -> MetricEntry:
    share = settings.of == "share"

    def found(_: Seen, answer: Answer) -> float:
        pattern = _compiled(settings.pattern, ignore_case=settings.ignore_case)
        try:
            if share:
                return float(pattern.search(answer.text, timeout=LIMIT) is not None)
            return float(sum(1 for _ in pattern.finditer(answer.text, timeout=LIMIT)))
        except TimeoutError:
            raise MetricError(f"{settings.pattern!r} took longer than {LIMIT:g} s") from None

    what = "share of completions that match" if share else "matches in a completion of"
    return MetricEntry(
        "regex",
        f"{what} {settings.pattern!r}",
        kind="rate" if share else "count",
        bounds=(0, 1 if share else None),
        value=per_answer(found),
    )


METRIC = MetricKind(
    "regex", "completions that match a regular expression", RegexSettings, _made, check=_check
)
