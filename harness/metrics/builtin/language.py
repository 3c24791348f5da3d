"""`language`: whether a completion is written in a language, by py3langid (over 100 languages)."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from harness.errors import FieldError, MetricError
from harness.metrics.entry import Answer, MetricEntry, Seen, per_answer
from harness.metrics.extra import check_installed
from harness.metrics.kind import Checking, MetricKind
from harness.spec.metric import MetricSettings

Code = Annotated[str, Field(pattern=r"^[a-z]{2,3}$")]


class LanguageSettings(MetricSettings):
    """The share of completions that are written in a language."""

    kind: Literal["language"]
    """The kind of metric is language: completions that are written in one."""
    language: Code
    """The language that is counted, by its ISO 639-1 code, such as en or fr."""
    among: Annotated[list[Code], Field(min_length=2)] | None = None
    """The languages that are told apart, which short texts need; all that are known when left
    out."""

    @model_validator(mode="after")
    def _is_among_them(self) -> Self:
        if self.among is not None and self.language not in self.among:
            raise ValueError(f"among: {self.language} is not one of them; add it")
        return self


@cache
def _identifier(among: tuple[str, ...] | None) -> Any:
    from py3langid.langid import MODEL_DIR, MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_modelpath(MODEL_DIR / MODEL_FILE)
    if among is not None:
        identifier.set_languages(list(among))
    return identifier


def _check(settings: LanguageSettings, _: Checking) -> None:
    check_installed("py3langid", "text")
    known = {str(code) for code in _identifier(None).labels}
    for field, codes in (("language", [settings.language]), ("among", settings.among or [])):
        for code in codes:
            if code not in known:
                listed = ", ".join(sorted(known))
                raise FieldError(field, f"{code!r} is not known; accepted: {listed}")


def _made(settings: LanguageSettings) -> MetricEntry:
    among = None if settings.among is None else tuple(sorted(settings.among))

    def written(_: Seen, answer: Answer) -> float:
        if not any(map(str.isalpha, answer.text)):
            raise MetricError("a text without letters is in no language")
        found, _score = _identifier(among).classify(answer.text)
        return float(found == settings.language)

    return MetricEntry(
        "language",
        f"share of completions that are written in {settings.language}",
        kind="rate",
        bounds=(0, 1),
        value=per_answer(written),
    )


METRIC = MetricKind(
    "language", "share of completions in a language", LanguageSettings, _made, check=_check
)
