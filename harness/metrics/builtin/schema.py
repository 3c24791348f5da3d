"""`schema`: whether a completion is JSON that a JSON Schema accepts.

References to other documents are not followed, and patterns have a time limit.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache, lru_cache
from typing import Any, Literal

from harness.errors import FieldError, MetricError
from harness.files.given import parsed, text
from harness.metrics.entry import Answer, MetricEntry, Seen, per_answer
from harness.metrics.extra import check_installed
from harness.metrics.json_text import json_in
from harness.metrics.kind import Checking, MetricKind
from harness.spec.metric import MetricSettings
from harness.spec.settings import SpecPath

_MOST_BYTES = 4 << 20
#: Seconds that a pattern may look at one text.
LIMIT = 1.0


class SchemaSettings(MetricSettings):
    """The share of completions that are JSON which fits a schema."""

    kind: Literal["schema"]
    """The kind of metric is schema: completions that a JSON Schema accepts."""
    file: SpecPath
    """The JSON Schema that a completion has to fit; relative to the folder of the spec."""
    fenced: bool = True
    """Whether what stands in the first Markdown fence counts, where there is one; true by default.
    false wants the whole completion to be JSON."""


def _pattern(_: Any, pattern: str, value: Any, __: Any) -> Iterator[Any]:
    """The keyword `pattern`, as the library has it, within a time limit."""
    import regex
    from jsonschema import ValidationError

    if isinstance(value, str) and not regex.search(pattern, value, timeout=LIMIT):
        yield ValidationError(f"{value!r} does not match {pattern!r}")


@lru_cache(maxsize=8)
def _validator(content: str) -> Any:
    """Raises ValueError, or jsonschema's SchemaError, for what is no schema."""
    from jsonschema.validators import extend, validator_for
    from referencing import Registry

    schema: Any = parsed(content)
    kind = validator_for(schema)
    kind.check_schema(schema)
    # A registry of nothing: the library would fetch what `$ref` names from the network.
    limited: Any = extend(kind, {"pattern": _pattern})  # type: ignore[no-untyped-call]
    return limited(schema, registry=Registry())


def _follow(resource: Any, resolver: Any) -> None:
    """Raise Unresolvable for a `$ref` of a schema, or of one in it, to what is not there."""
    named = resource.contents.get("$ref") if isinstance(resource.contents, dict) else None
    if isinstance(named, str):
        resolver.lookup(named)
    for inner in resource.subresources():
        _follow(inner, resolver.in_subresource(inner))


def _check_references(schema: Any) -> None:
    from jsonschema_specifications import REGISTRY
    from referencing import Resource
    from referencing.jsonschema import DRAFT202012

    resource: Any = Resource.from_contents(schema, default_specification=DRAFT202012)
    name = resource.id() or ""
    registry: Any = REGISTRY.with_resource(name, resource).crawl()
    _follow(resource, registry.resolver(name))


def _check(settings: SchemaSettings, _: Checking) -> None:
    check_installed("jsonschema", "text")
    from jsonschema import SchemaError
    from referencing.exceptions import Unresolvable

    try:
        _check_references(_validator(text(settings.file, _MOST_BYTES)).schema)
    except Unresolvable as error:
        raise FieldError(
            "file",
            f"{settings.file}: $ref {error.ref!r} is not in it, and nothing is fetched; put what "
            "it names below $defs",
        ) from error
    except SchemaError as error:
        raise FieldError("file", f"{settings.file}: is no JSON Schema: {error.message}") from error
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise FieldError("file", f"{settings.file}: {why}") from error


def _made(settings: SchemaSettings) -> MetricEntry:
    validator = cache(lambda: _validator(text(settings.file, _MOST_BYTES)))

    def fits(_: Seen, answer: Answer) -> float:
        from referencing.exceptions import Unresolvable

        try:
            value = json_in(answer.text, fenced=settings.fenced)
        except ValueError:
            return 0.0
        try:
            return float(validator().is_valid(value))
        except TimeoutError:
            raise MetricError(f"a pattern of the schema took longer than {LIMIT:g} s") from None
        except Unresolvable as error:
            raise MetricError(f"the schema refers to what is not in it: {error}") from error

    return MetricEntry(
        "schema",
        "share of completions that are JSON of a schema",
        "higher",
        "rate",
        (0, 1),
        value=per_answer(fits),
    )


METRIC = MetricKind(
    "schema",
    "share of completions that a JSON Schema accepts",
    SchemaSettings,
    _made,
    files=lambda settings: [settings.file],
    check=_check,
)
