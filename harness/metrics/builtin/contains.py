"""`contains`: whether a completion has a text in it, or one of several."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from harness.metrics.entry import Answer, MetricEntry, Seen, per_answer
from harness.metrics.kind import MetricKind
from harness.spec.metric import MetricSettings

Text = Annotated[str, Field(min_length=1)]


class ContainsSettings(MetricSettings):
    """The share of completions that contain a text."""

    kind: Literal["contains"]
    """The kind of metric is contains: the share of completions with a text in them."""
    text: Text | Annotated[list[Text], Field(min_length=1)]
    """The text that is looked for, or several, of which one is enough."""
    ignore_case: bool = True
    """Whether capitals and small letters are the same; true by default."""


def _made(settings: ContainsSettings) -> MetricEntry:
    texts = [settings.text] if isinstance(settings.text, str) else settings.text
    wanted = [text.casefold() if settings.ignore_case else text for text in texts]

    def found(_: Seen, answer: Answer) -> float:
        text = answer.text.casefold() if settings.ignore_case else answer.text
        return float(any(each in text for each in wanted))

    shown = " or ".join(map(repr, texts[:3])) + (", ..." if len(texts) > 3 else "")
    return MetricEntry(
        "contains",
        f"share of completions that contain {shown}",
        kind="rate",
        bounds=(0, 1),
        value=per_answer(found),
    )


METRIC = MetricKind("contains", "share of completions that contain a text", ContainsSettings, _made)
