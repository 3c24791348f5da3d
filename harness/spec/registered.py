"""A field that names an entry of a registry: one that is there, listed where the form is shown."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from harness.registry import Registry

#: Characters of a wrong name that are shown.
_MOST = 80


@dataclass(frozen=True)
class registered:  # noqa: N801 - an annotation, read as a word: `Annotated[str, registered(rules)]`
    """Accepts the names of a registry, and tells of every other one what is near it."""

    registry: Registry[Any]

    def __get_pydantic_core_schema__(self, of: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._checked, handler(of))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {**handler(schema), "enum": list(self.registry.names())}

    def _checked(self, name: str) -> str:
        if name not in self.registry:
            known = self.registry.names()
            close = difflib.get_close_matches(name, known, n=1)
            shown = repr(name) if len(name) <= _MOST else f"{name[:_MOST]!r}..."
            raise ValueError(
                f"{shown} is not accepted; it should be one of {', '.join(known)}"
                + (f"; did you mean {close[0]}?" if close else "")
            )
        return name
