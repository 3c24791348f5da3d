"""A spec file, what it extends and what the command line overrides, as one checked experiment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.errors import FieldError, SpecError
from harness.files.given import check_file
from harness.options import OVERRIDING, spelled
from harness.spec.complaints import displayed, validated
from harness.spec.document import Document, read, read_value, shown
from harness.spec.experiment import EngineSettings, Experiment
from harness.spec.form import fields as form_fields
from harness.spec.form import resolved
from harness.spec.layers import fields, get, merge, put
from harness.spec.origins import Origin, SpecSource
from harness.spec.suggestion import suggestion

#: What may be extended. Messages quote what a spec says, and so must not be of any other file.
_SUFFIXES = (".yaml", ".yml")

MOST_ANCESTORS = 16
"""Files that extend each other in a row."""


def load(
    path: str | Path, overrides: Mapping[str, str] | Sequence[str] = ()
) -> tuple[Experiment, SpecSource]:
    """Read and check a spec; the source tells where each of its values was written.

    `extends: base.yaml` inherits from another file: sections merge, lists and plain values are
    replaced. Overrides are `key=value` with a dotted key and a YAML value, and set exactly that
    field. Overriding a swept field fixes it: its axis goes, or keeps that one value if it is the
    dose. One that an option stands for (`--titrate-engine=vllm`) is named so in errors. Paths are
    relative to the file that names them, those of overrides to the working directory. Whatever is
    wrong is a SpecError of one line.
    """
    document = _inherited(Path(path), ())
    if isinstance(overrides, Mapping):
        overrides = [f"{key}={value}" for key, value in overrides.items()]
    for assignment in overrides:
        document = _overridden(document, assignment)
    source = SpecSource(shown(Path(path)), tuple(document.origins.items()))
    try:
        return validated(document.values), source
    except FieldError as error:
        raise source.locate(error) from None


def check_overrides(overrides: Sequence[str]) -> None:
    """Raise `SpecError` for the first override that fits no spec at all: no such field, no YAML."""
    for assignment in overrides:
        _set_value(*_target(assignment))


def engine_settings(overrides: Sequence[str] = ()) -> EngineSettings:
    """The section `engine` as `key=value` overrides leave it, for what runs without a spec.

    Overrides of other sections are passed by. Whatever is wrong is a SpecError of one line.
    """
    document = Document({"name": "none", "model": "none", "task": {"name": "none"}}, {})
    for assignment in overrides:
        if _target(assignment)[0].partition(".")[0] == "engine":
            document = _overridden(document, assignment)
    try:
        return validated(document.values).engine
    except FieldError as error:
        raise SpecSource("", tuple(document.origins.items())).locate(error) from None


def _inherited(path: Path, children: tuple[str, ...]) -> Document:
    """The document with everything that it extends below it; `children` are the files above."""
    document = read(path)
    if children:
        _check_spec(document, children[-1])
    extends = document.values.pop("extends", None)
    own = Document(resolved(document.values, path.parent), document.origins)
    if extends is None:
        return own
    place = document.origins["extends"].text
    if not isinstance(extends, str):
        raise SpecError(f"{place} extends: {displayed(extends)} is not accepted; name one file")
    base = path.parent / extends
    if base.suffix not in _SUFFIXES:
        raise SpecError(
            f"{place} extends: {displayed(extends)} is not accepted; name a spec, a file that ends "
            f"in {' or '.join(_SUFFIXES)}"
        )
    chain = (*children, shown(path))
    if shown(base) in chain:
        raise SpecError(
            f"{place} extends: goes round in a circle: {' -> '.join(chain)} -> {shown(base)}"
        )
    if len(chain) > MOST_ANCESTORS:
        raise SpecError(f"{place} extends: the {len(chain)}th file in a row that extends another")
    try:
        check_file(base)
    except OSError as error:
        gone = isinstance(error, FileNotFoundError)
        why = f"there is no file {shown(base)}" if gone else f"{shown(base)}: {error.strerror}"
        raise SpecError(f"{place} extends: {extends!r} is not accepted; {why}") from None
    below = _inherited(base, chain)
    values = merge(below.values, own.values)
    return Document(values, _kept(values, below.origins | own.origins))


def _check_spec(document: Document, child: str) -> None:
    """Refuse to extend a file that is not a spec, without quoting it: its keys may be secrets."""
    unknown = [key for key in document.values if key not in {"extends", *form_fields()}]
    if unknown and 2 * len(unknown) >= len(document.values):
        raise SpecError(
            f"{document.origins[unknown[0]].text}: {child} extends this file, which is not a spec: "
            "at least half of its keys are none that a spec has; name a spec"
        )


def _overridden(document: Document, assignment: str) -> Document:
    """The document with one `key=value` set, and the axes over that field narrowed to it."""
    field, text, typed = _target(assignment)
    origin = Origin(typed, str(Path.cwd()))
    axis, value = _set_value(field, text, typed)
    values = put(document.values, field, value)
    if axis != field:
        changed = [f"axes.{axis}"]
    else:
        values = resolved(values, Path.cwd(), under=field)
        changed = [field]
        axes = values.get("axes")
        if isinstance(axes, Mapping) and field != "axes":
            values, narrowed = _narrowed(values, axes, field, origin)
            changed += narrowed
    beneath = tuple(f"{name}{mark}" for name in changed for mark in ".[")
    written = {
        name: origin for name in _names(values) if name in changed or name.startswith(beneath)
    }
    return Document(values, _kept(values, document.origins | written))


def _set_value(field: str, text: str | None, typed: str) -> tuple[str, Any]:
    """The field that an override sets, as an axis names it, and the value that its text stands for.

    Raises `SpecError`, which names it as it was `typed`, for what no spec could take.
    """
    if text is None or not field:
        what = "names no field" if not field else "has no value"
        raise SpecError(f"{typed}: {what}; write FIELD=VALUE, such as task.limit=20")
    axis = field.removeprefix("axes.")
    if axis not in form_fields():
        meant = suggestion(axis, form_fields()) or " `titrate schema experiment` has them all"
        raise SpecError(f"{typed}: no such field;{meant}")
    return axis, read_value(text, typed)


def _target(assignment: str) -> tuple[str, str | None, str]:
    """The field that an override sets, the text it is set to, and how a user has typed it."""
    field, equals, text = assignment.partition("=")
    option = OVERRIDING.get(field)
    if option is None:
        return field, text if equals else None, spelled("set", assignment)
    typed = spelled(option.name, text)
    if option.name == "engine" and "," in text:  # several of them are an axis
        return "axes.engine.name", f"[{text}]", typed
    return option.field, text, typed


def _narrowed(
    values: dict[str, Any], axes: Mapping[str, Any], field: str, origin: Origin
) -> tuple[dict[str, Any], list[str]]:
    """`values` without the axes that an override of `field` has fixed, and the axis it kept."""
    left: dict[str, Any] = {}
    kept: list[str] = []
    for axis, options in axes.items():
        if field.startswith(f"{axis}."):
            raise SpecError(
                f"{origin.text}: the axis {axis} sets the whole section; "
                f"override {axis} or axes.{axis}"
            )
        if axis != field and not axis.startswith(f"{field}."):
            left[axis] = options
        elif axis == values.get("dose") and get(values, axis) is not None:
            left[axis] = [get(values, axis)]
            kept.append(f"axes.{axis}")
    values = {**values, "axes": left}
    if any(axis == values.get("dose") for axis in axes.keys() - left.keys()):
        del values["dose"]
    return values, kept


def _names(values: Mapping[str, Any]) -> set[str]:
    return set(fields(values))


def _kept(values: Mapping[str, Any], origins: Mapping[str, Origin]) -> dict[str, Origin]:
    """The origins of what is still there after something was replaced."""
    names = _names(values)
    return {name: origin for name, origin in origins.items() if name in names}
