"""`nll`: nats per token of given texts under the model as it is in the case.

    {"text": "The sun rises in the east."}

Each text is read behind the tokenizer's first token, whatever the task asks. It has a value of its
own: intervals and tests are over texts, not over samples.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import JsonValue

from harness.engines.contract import Asked, Scored, Scoring
from harness.errors import FieldError, MetricError, TaskError
from harness.metrics.entry import Asker, Asks, Item, MetricEntry, Seen
from harness.metrics.kind import Checking, MetricKind
from harness.metrics.nats import nats, per_token
from harness.spec.metric import MetricSettings
from harness.spec.settings import SpecPath
from harness.tasks.behind import behind


class NllSettings(MetricSettings):
    """Nats per token of texts of one's own."""

    kind: Literal["nll"]
    """The kind of metric is nll: nats per token of given texts under the model with what is done to
    it."""
    path: SpecPath
    """The texts that are read: a JSONL file with a `text` in every line, relative to the folder of
    the spec."""


def _made(settings: NllSettings) -> MetricEntry:
    def items() -> list[Item]:
        return [Item(name, {"text": text}) for name, text in _texts(settings.path).items()]

    return MetricEntry(
        "nll",
        "nats per token of given texts",
        "lower",
        "loss",
        (0, None),
        aggregate=per_token,
        value=_value,
        asks=Asks(_ask, early=True, items=items),
    )


def _ask(seen: Seen, asker: Asker) -> list[Asked]:
    try:
        found = behind(asker.tokenizer, "", [seen.record["text"]])
    except TaskError as error:
        raise MetricError(str(error)) from error
    return [Scoring(found.context, found.continuations, asker.intervention)]


def _value(seen: Seen) -> JsonValue:
    """`[nats, tokens]` of a text."""
    for reply in seen.replies:
        if isinstance(reply, Scored) and reply.error is None:
            return nats(reply.log_probabilities)
        raise MetricError(f"it could not be read: {reply.error}")
    raise MetricError("no token of it can be read")


def _texts(path: str) -> Mapping[str, str]:
    """The texts of a file, by their `id` or else by their place in it."""
    from harness.tasks.data_files import read_records  # with YAML, which a schema needs none of

    records = read_records(path, ("text",), check=_fault)
    found: dict[str, str] = {}
    for number, record in enumerate(records):
        name = str(record.get("id", f"text {number}"))
        if name in found:
            raise TaskError(f"{path}: two texts have the id {name!r}; give each one of its own")
        found[name] = record["text"]
    return found


def _fault(record: Mapping[str, Any]) -> str | None:
    return None if record["text"].strip() else "its text is empty; leave the line out"


def _check(settings: NllSettings, checking: Checking) -> None:
    del checking
    try:
        _texts(settings.path)
    except TaskError as error:
        raise FieldError("path", str(error)) from error


METRIC = MetricKind(
    "nll",
    "nats per token of given texts under the model as it is in the case",
    NllSettings,
    _made,
    files=lambda settings: [settings.path],
    check=_check,
)
