"""Fills in the form, and words what pydantic has against it as one line: value, field, remedy."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from itertools import filterfalse
from types import UnionType
from typing import Any, NamedTuple, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from harness.errors import FieldError
from harness.spec.addresses import answered
from harness.spec.experiment import Experiment
from harness.spec.form import fields_of, sections
from harness.spec.suggestion import suggestion
from harness.spec.variants import ONE, SEVERAL


def validated(values: Mapping[str, Any]) -> Experiment:
    """Fill in the form; a FieldError tells of everything that is wrong, misspelt keys first.

    Servers that stand in a model's place are asked which one they serve.
    """
    try:
        return answered(Experiment.model_validate(values))
    except ValidationError as error:
        # A misspelt key is often a missing one too: the misspelling is the one to tell of.
        details = sorted(
            filterfalse(_short_of_wrong_items, error.errors()),
            key=lambda detail: detail["type"] != "extra_forbidden",
        )
        complaints: dict[str, list[str]] = {}
        for detail in details:
            field, problem = describe(detail)
            complaints.setdefault(field, []).append(problem)
        found = [FieldError(field, _joined(each)) for field, each in _distinct(complaints).items()]
        raise FieldError(found[0].field, found[0].problem, found[1:]) from None


def _short_of_wrong_items(error: ErrorDetails) -> bool:
    """Whether a list is long enough, and short only of items that have complaints of their own."""
    given = error["input"]
    return (
        error["type"] == "too_short"
        and isinstance(given, Sequence)
        and len(given) >= error["ctx"]["min_length"]
    )


def _distinct(complaints: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """Without the keys that are missing because they are misspelt, which is told already."""
    meant = {
        f"{field.rpartition('.')[0]}.{name}".lstrip(".")
        for field, (problem, *_) in complaints.items()
        for name in re.findall(r"^unknown key; did you mean (\w+)", problem)
    }
    return {
        field: problems
        for field, problems in complaints.items()
        if not (field in meant and problems[0].startswith("missing"))
    }


def _joined(problems: Sequence[str]) -> str:
    """One sentence: a field that takes one of several things has a complaint for each of them."""
    others = [problem.rpartition("it should ")[2] for problem in problems[1:]]
    return ", or ".join([problems[0], *others])


def displayed(value: Any) -> str:
    """A value in a message, on one line and not too long."""
    text = repr(value) if isinstance(value, str) else json.dumps(value, default=str)
    return text if len(text) <= 80 else f"{text[:77]}..."


def describe(error: ErrorDetails, form: type[BaseModel] = Experiment) -> tuple[str, str]:
    """The dotted field that pydantic complains about, and what is wrong with it."""
    spot = _find(error["loc"], form)
    field, value, kind = spot.field, error["input"], error["type"]
    if kind == "extra_forbidden":
        keys = list(fields_of(spot.section)) if spot.section else []
        key = field.rpartition(".")[2]
        rival = next((each for each in spot.rivals if key in _tags(each)), None)
        if rival is not None and spot.section is not None:
            own = ", ".join(_required(spot.section))
            return field, f"excludes {own}, which is given too; keep one of them"
        kinds = [name for each in spot.rivals if key in each.model_fields for name in _kinds(each)]
        if kinds:
            return field, f"belongs to kind {' or '.join(kinds)}; accepted: {', '.join(keys)}"
        close = suggestion(key, keys, _OTHER_NAMES)
        return field, f"unknown key;{close} accepted: {', '.join(keys)}"
    if kind == "missing":
        meaning = " ".join((spot.info.description or "").split()) if spot.info else ""
        return field, "missing; it is required" + (f": {meaning}" if meaning else "")
    if kind == "value_error":
        return field, str(error["ctx"]["error"])
    if kind.startswith("union_tag") and "kind" in spot.inner[0].model_fields:
        field, value = f"{field}.kind", value.get("kind")
        names = [name for each in spot.inner for name in _kinds(each)]
        close = suggestion(value, names).rstrip(";") if isinstance(value, str) else ""
        wanted = f"be one of {', '.join(names)}" + (close and f";{close}")
    elif kind.startswith("union_tag"):
        names = [name for each in spot.inner for name in _required(each)]
        wanted = f"be a mapping with one of the keys {', '.join(names)}"
    elif kind in {"model_type", "model_attributes_type"}:
        wanted = f"be a mapping with {_keys(spot.inner)}"
    else:
        wanted = _worded(error["msg"])
        meant = kind == "string_type" or isinstance(value, bool) or f"'{value}'" in wanted
        if meant and kind in {"string_type", "literal_error"} and isinstance(value, int | float):
            wanted += " (in quotes, or YAML reads it as something else)"
    return field, f"{displayed(value)} is not accepted; it should {wanted}"


#: How other tools call a key of ours, which may be more like another key of ours.
_OTHER_NAMES = {
    "data": "path",
    "file": "path",
    "max_length": "max_new_tokens",
    "n": "draws",
    "num_samples": "limit",
    "samples": "limit",
    "strength": "alpha",
    "type": "kind",
}

#: What pydantic says of values, and how those say it who write specs.
_WORDS = (
    (r"^\w+ should ", ""),
    (r", (unable to parse|got a number with a fractional part).*", ""),
    (r" after validation, not .*", ""),
    ("valid integer", "whole number"),
    ("a valid string", "text"),
    ("a valid boolean", "true or false"),
    ("valid dictionary", "mapping"),
    (r"a valid (number|list)", r"a \1"),
    (
        r"match pattern '\^\[A-Za-z_\].*",
        "consist of letters, digits and _ @ -, and begin with a letter or _",
    ),
    (r"match pattern '\^\.\+\\\.py:.*", "be FILE.py:NAME, such as own.py:score"),
    (r"match pattern '\^\[a-z\]\{2,3\}.*", "be the code of a language, such as en or fr"),
    (
        r"match pattern '\^\[A-Za-z0-9_\].*",
        "consist of letters, digits and . _ + -, and begin with a letter, a digit or _",
    ),
)


def _worded(message: str) -> str:
    """What pydantic wants, in words of the field: `be a whole number`."""
    for said, meant in _WORDS:
        message = re.sub(said, meant, message)
    return message


class _Spot(NamedTuple):
    """A place in the form: the field, its section, and the sections that may fill it in."""

    field: str
    section: type[BaseModel] | None
    info: FieldInfo | None
    inner: list[type[BaseModel]]
    rivals: Sequence[type[BaseModel]] = ()
    """What could fill in the section's place instead."""


def _find(location: tuple[str | int, ...], form: type[BaseModel]) -> _Spot:
    """Follow pydantic's location, which names the chosen variant behind every union."""
    spot = _Spot("", None, None, [form])
    for part in location:
        if part in {ONE, SEVERAL}:
            continue  # a section, or a list of sections: either way its fields follow
        if isinstance(part, int):
            spot = spot._replace(field=f"{spot.field}[{part}]")
            continue
        if len(spot.inner) > 1:
            chosen = [each for each in spot.inner if part in _tags(each)]
            rivals = [each for each in spot.inner if each not in chosen]
            spot = spot._replace(inner=chosen, rivals=rivals)
            continue
        if spot.info and not spot.inner and _is_choice(spot.info):
            continue  # the name of an alternative, as in `int | Literal[...]`, and no field
        if spot.info is None and part == "float":
            continue  # which kind of JSON value an axis' NaN is
        section = spot.inner[0] if spot.inner else None
        info = fields_of(section).get(part) if section else None
        field = f"{spot.field}.{part}" if spot.field else part
        spot = _Spot(field, section, info, sections(info) if info else [], spot.rivals)
    return spot


def _is_choice(info: FieldInfo) -> bool:
    return get_origin(info.annotation) in (Union, UnionType)


def _keys(forms: Sequence[type[BaseModel]]) -> str:
    """What a mapping is told by: its kind where there are several, or else its keys."""
    kinds = [name for each in forms for name in _kinds(each)]
    if len(forms) > 1 and kinds:
        return f"a kind: {', '.join(kinds)}"
    return (
        f"the keys {', '.join(dict.fromkeys(key for each in forms for key in each.model_fields))}"
    )


def _required(section: type[BaseModel]) -> list[str]:
    """The keys that a section cannot do without."""
    return [name for name, info in section.model_fields.items() if info.is_required()]


def _tags(section: type[BaseModel]) -> tuple[str, ...]:
    return _kinds(section) or tuple(section.model_fields)


def _kinds(section: type[BaseModel]) -> tuple[str, ...]:
    kind = section.model_fields.get("kind")
    return get_args(kind.annotation) if kind else ()
