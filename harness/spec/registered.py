"""A field that names an entry of a registry: one that is there, listed where the form is shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from harness.errors import RegistryError
from harness.registry import Registry


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
            try:
                self.registry.get(name)
            except RegistryError as error:
                raise ValueError(str(error)) from None
        return name
