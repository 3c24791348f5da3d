"""Jinja templates over records, in Jinja's sandbox: a text each, or one line of what is wrong.

A name that a record lacks is an error, never an empty text. Blocks on a line of their own leave
none (`trim_blocks`, `lstrip_blocks`), as in chat templates. A field whose name is no word is
reached by `record["its name"]`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from jinja2 import StrictUndefined, Template, TemplateError, TemplateRuntimeError, Undefined
from jinja2.meta import find_undeclared_variables
from jinja2.sandbox import ImmutableSandboxedEnvironment

from harness.errors import FieldError


def said(value: Any) -> Any:
    """What a template may say. Of a function it would say an address, of each process another."""
    if callable(value) and not isinstance(value, Undefined):
        name = getattr(value, "__name__", type(value).__name__)
        raise TemplateRuntimeError(f'{name} is a function; a field is record["{name}"]')
    return value


_SANDBOX = ImmutableSandboxedEnvironment(
    undefined=StrictUndefined,
    finalize=said,
    trim_blocks=True,
    lstrip_blocks=True,
    autoescape=False,
)


@dataclass(frozen=True, eq=False)
class RecordTemplate:
    """A template, and the field of the spec that holds it."""

    name: str
    source: str
    _compiled: Template = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Raise FieldError for what is no template."""
        try:
            object.__setattr__(self, "_compiled", _SANDBOX.from_string(self.source))
        except RecursionError:
            raise FieldError(self.name, "is no template: it is nested too deep") from None
        except TemplateError as error:
            line = getattr(error, "lineno", None)
            where = f" (line {line} of it)" if line and "\n" in self.source else ""
            raise FieldError(self.name, f"is no template: {error}{where}") from None

    @property
    def fields(self) -> set[str]:
        """The names that it reads of a record, as far as its text says them."""
        return find_undeclared_variables(_SANDBOX.parse(self.source)) - {"record"}

    def text(self, record: Mapping[str, Any], place: str) -> str:
        """What it says of a record, which is at this place. Raises FieldError where it cannot."""
        try:
            return self._compiled.render({"record": record} | dict(record))
        except Exception as error:  # whatever a user's expression raises on a user's value
            why = str(error).removesuffix(".") or type(error).__name__
            words = ", ".join(name for name in record if name.isidentifier())
            have = f"; the record has {words}" if "undefined" in why else ""
            raise FieldError(self.name, f"{place}: {why}{have}") from None
