"""The section of a spec that lets a model ask another one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import NonNegativeInt, PositiveInt, model_validator

from harness.interventions.oracle.trigger import AnyTrigger
from harness.interventions.oracle.triggers.random import Random
from harness.spec.addresses import addressed
from harness.spec.experiment import EngineSettings
from harness.spec.intervention import InterventionSettings
from harness.spec.settings import ModelReference


class OracleSettings(InterventionSettings):
    """Lets the model ask an oracle, another model, for the next tokens of its answer."""

    kind: Literal["oracle"]
    """The kind of intervention is oracle: help of another model."""
    model: ModelReference
    """The model that is asked, the oracle: a zoo member (zoo/oracle), a local folder (./x or /x), a
    Hugging Face id, or a server's address, with the model that it serves,
    http://127.0.0.1:8001/v1#Qwen/Qwen3-8B, or without where it serves one alone."""
    engine: EngineSettings | None = None
    """What runs the oracle, with the fields of `engine:`; a server is {name: served, base_url:
    ...}. What runs the model itself when left out."""
    tokens: Literal["ids", "text"] = "ids"
    """What the two models exchange. ids, the default: token ids, which both must share. text: text,
    which each reads in tokens of its own; what cannot be handed on to the character is refused."""
    budget: NonNegativeInt | Literal["inf"] = "inf"
    """How often the oracle is asked in an answer at most; inf, the default, is as often as the
    trigger likes. 0 is neutral."""
    length: NonNegativeInt | Literal["inf"] = 10
    """How many tokens the oracle says when it is asked; 10 by default, inf is all that are left. 0
    is neutral, too."""
    step: PositiveInt = 10
    """How many tokens the model says between two occasions to ask; 10 by default."""
    trigger: AnyTrigger = Random()
    """When the model asks: a registered trigger, such as random or every_n, or one with its
    settings, such as {kind: entropy, above: 1.5}. random by default."""
    statistics: bool | Literal["steps"] | None = None
    """Whether entropy, varentropy, top probability and margin of the model's next token, and
    entropy, varentropy, agreement and interaction of its last layer's attention, are read wherever
    it asks; steps: of every token, too. When left out, where its engine tells them."""

    @model_validator(mode="before")
    @classmethod
    def _address_is_an_engine(cls, given: Any) -> Any:
        return addressed(given)

    def neutral(self) -> Self:
        """The same, never asked."""
        return self if self.is_neutral else self.model_copy(update={"budget": 0})

    @property
    def is_neutral(self) -> bool:
        """Whether the oracle can say nothing."""
        return 0 in (self.budget, self.length) or self.trigger.never

    @property
    def name(self) -> str:
        """What requests call the oracle: its model, and how it is run where that is its own."""
        if self.engine is None:
            return self.model
        said = self.engine.model_dump(mode="json", exclude_defaults=True)
        return f"{self.model} {json.dumps(said, sort_keys=True)}"

    def engines(self) -> Mapping[str, tuple[str, EngineSettings | None]]:
        """The oracle, where it is asked."""
        return {} if self.is_neutral else {self.name: (self.model, self.engine)}

    def translated(self) -> tuple[str, ...]:
        """The oracle, where text is exchanged."""
        return (self.name,) if self.tokens == "text" and not self.is_neutral else ()

    def metrics(self) -> tuple[str, ...]:
        """What help came to, and what the oracle does alone."""
        return () if self.is_neutral else ("oracle_share", "oracle_calls", "oracle_alone")
