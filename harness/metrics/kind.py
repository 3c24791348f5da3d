"""A kind of metric: the section of a spec that it takes, and the metric that it makes of it.

`METRIC = MetricKind("contains", "share with a text", ContainsSettings, made)`; or, where a metric
has no settings of its own, `METRIC = plain(MetricEntry("median_tokens", ...))`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, create_model

from harness import registry
from harness.errors import FieldError
from harness.metrics.entry import MetricEntry
from harness.spec.metric import MetricSettings, section_of


@dataclass(frozen=True)
class Checking:
    """What a kind may ask when its settings are checked, before anything is loaded.

    Args:
        unsafe_code: Whether code that is not isolated may be run (`--titrate-unsafe-code`).
        experiment: The spec, with every axis fixed.
        samples: The samples of its task, with `id` and `record`.
        tokenizer: Gives the model's own tokenizer.
        prompt: Gives the first sample's prompt as the model reads it, special tokens included.
    """

    unsafe_code: bool
    experiment: Any
    samples: Sequence[Any]
    tokenizer: Callable[[], Any]
    prompt: Callable[[], str] = lambda: ""


@dataclass(frozen=True)
class MetricKind:
    """One kind of metric.

    Args:
        name: What a spec says as `kind:`, and what its metric is called by default.
        summary: What it counts, in a line.
        section: Its `MetricSettings`.
        make: From such settings to their `MetricEntry`; reads no file and imports nothing heavy,
            because it is asked wherever a metric is named. Name and direction that a spec gives
            replace the entry's.
        files: The files whose content its values depend on, from its settings.
        check: Raises `FieldError`, its field relative to the item, for settings that cannot be
            followed: `(settings, Checking)`.
        version: Rises when it counts differently than before.
    """

    name: str
    summary: str
    section: type[Any]
    make: Callable[[Any], MetricEntry]
    files: Callable[[Any], Sequence[str]] = lambda _: ()
    check: Callable[[Any, Checking], None] | None = None
    version: int = 1

    def entry(self, settings: MetricSettings) -> MetricEntry:
        """The metric that these settings describe, under the name that they give it."""
        made = self.make(settings)
        return replace(made, name=settings.called, good=settings.good or made.good)

    def content(self, settings: MetricSettings) -> str:
        """SHA-256 (hex) of all that decides its values: settings, version, and files by content.

        Raises FieldError for a file that cannot be read.
        """
        said = settings.model_dump(mode="json", exclude={"name", "good"})
        text = json.dumps([self.version, said], sort_keys=True)
        for file in self.files(settings):
            # A path is where a file lies on this machine: what it holds is what counts.
            held = hashlib.sha256(_bytes(file)).hexdigest()
            text = text.replace(json.dumps(file)[1:-1], held)
        return hashlib.sha256(text.encode()).hexdigest()


def entry_of(item: str | MetricSettings) -> MetricEntry:
    """The metric that an item of `metrics:` describes."""
    settings = section_of(item)
    kind: MetricKind = registry.metrics.get(settings.kind)
    return kind.entry(settings)


def content_of(item: str | MetricSettings) -> str:
    """SHA-256 (hex) of all that decides the values of an item of `metrics:`."""
    settings = section_of(item)
    kind: MetricKind = registry.metrics.get(settings.kind)
    return kind.content(settings)


def plain(entry: MetricEntry) -> MetricKind:
    """The kind of a metric without settings of its own."""
    named: Any = Literal[entry.name]
    section = create_model(
        f"{entry.name.title().replace('_', '')}Settings",
        __base__=MetricSettings,
        __doc__=f"{entry.summary[:1].upper()}{entry.summary[1:]}.",
        kind=(named, Field(description=f"The kind of metric is {entry.name}.")),
    )
    return MetricKind(entry.name, entry.summary, section, lambda _: entry)


def _bytes(file: str) -> bytes:
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise FieldError("file", f"{file}: cannot be read: {error.strerror or error}") from error
