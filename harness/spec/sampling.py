"""The section `sampling`: a field for every registered sampling rule, and how much is drawn."""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PositiveInt,
    SerializerFunctionWrapHandler,
    create_model,
    model_serializer,
    model_validator,
)
from pydantic_core import CoreSchema, core_schema

from harness.sampling import Rule, Value, registered
from harness.sampling.composition import DEFAULT
from harness.spec.settings import Settings


class SamplingSettings(Settings):
    """How tokens are drawn. Without any rule decoding is greedy."""

    max_new_tokens: PositiveInt = 512
    """How many tokens a completion has at most; 512 by default."""
    draws: PositiveInt = 1
    """How many completions are drawn of every sample; 1 by default."""
    compose: Literal["hf", "vllm", "llamacpp", "min"] = DEFAULT
    """The order in which several rules act: that of transformers (hf, the default), vLLM or
    llama.cpp, or all on the same distribution (min), of which what every rule keeps is kept."""

    known: ClassVar[tuple[Rule, ...]] = ()
    """The rules that have fields here."""

    @property
    def rules(self) -> dict[str, Value]:
        """The rules' values by their names, and how they are composed."""
        return {"compose": self.compose} | {
            rule.name: getattr(self, rule.name) for rule in self.known
        }

    @classmethod
    def form(cls) -> type[SamplingSettings]:
        """The section with a field for every rule that is registered now, built-in ones first."""
        return _form(registered())

    @model_validator(mode="after")
    def _one_of_those_that_exclude_each_other(self) -> Self:
        acting = {r.name: r for r in self.known if not r.is_neutral(getattr(self, r.name))}
        for name, rule in acting.items():
            for other in rule.excludes & acting.keys():
                raise ValueError(f"{name} excludes {other}, which is given too; keep one of them")
        return self

    @model_serializer(mode="wrap")
    def _without_idle_rules(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out younger rules where they are neutral, and the order by default: what is written
        by a project that has them can be read where they are not, and hashes of settings stay.
        """
        idle = {
            rule.name
            for rule in self.known
            if rule.column is None and getattr(self, rule.name) == rule.neutral
        }
        idle |= {"compose"} if self.compose == DEFAULT else set()
        return {name: value for name, value in handler(self).items() if name not in idle}

    def __reduce__(self) -> tuple[Any, ...]:
        return _validated, (self.model_dump(),)  # unpickling makes the class anew


def unsaid() -> SamplingSettings:
    """The section where a spec says nothing of it."""
    return SamplingSettings.form()()


@lru_cache(maxsize=8)
def _form(rules: tuple[Rule, ...]) -> type[SamplingSettings]:
    fields: dict[str, Any] = {
        rule.name: (rule.field, Field(rule.neutral, description=rule.description)) for rule in rules
    }
    # Typed as Any: a type checker cannot know a class that is made of what is registered.
    ruled: Any = create_model("SamplingRules", __base__=Settings, **fields)

    class Form(SamplingSettings, ruled):  # rules first: pydantic begins with the last base
        __doc__ = SamplingSettings.__doc__
        model_config = ConfigDict(title=SamplingSettings.__name__)
        known = rules

    return Form


def _validated(value: Any) -> SamplingSettings:
    if isinstance(value, SamplingSettings):
        value = value.model_dump()
    return SamplingSettings.form().model_validate(value)


class _Registered:
    """Lets a field be filled in by the rules that are registered when it is."""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        del source, handler
        return core_schema.no_info_plain_validator_function(_validated)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        del schema
        return handler(SamplingSettings.form().__pydantic_core_schema__)


Sampling = Annotated[SamplingSettings, _Registered()]
