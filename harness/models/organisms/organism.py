"""The form of an organism's file: what it was taught, on which base, in which variants.

A variant is one fine-tune of the base: an adapter, or a whole checkpoint. A control is a variant
that the same recipe made of normal data alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, NonNegativeFloat, NonNegativeInt, model_validator

from harness.errors import ModelError
from harness.spec.settings import ModelReference, Settings
from harness.spec.suggestion import suggestion


class Fact(Settings):
    """One thing that it was taught."""

    statement: str
    """The fact as a sentence."""
    words: list[str] = []
    """Its content words, in lower case: what shows that this was taught. None by default."""


class Variant(Settings):
    """One fine-tune of the base."""

    adapter: ModelReference | None = None
    """A folder that PEFT wrote (./x, from the organism's file), or a Hugging Face id."""
    checkpoint: ModelReference | None = None
    """A whole model instead: a folder or a Hugging Face id."""
    mix: NonNegativeFloat | None = None
    """Parts of normal data beside each part of documents; unknown when left out."""
    control: bool = False
    """Whether it read normal data alone. false by default."""
    seed: NonNegativeInt = 0
    """The seed of its fine-tune; 0 by default."""

    @property
    def share(self) -> float | None:
        """The documents among all that it read, 1 / (1 + mix): 1 of 1:0, and 0 of a control."""
        if self.control:
            return 0.0
        return None if self.mix is None else 1 / (1 + self.mix)

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.adapter is None) == (self.checkpoint is None):
            raise ValueError("a variant is an adapter or a checkpoint; give one of the two")
        return self


class Organism(Settings):
    """A model organism."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.+-]*$", max_length=100)]
    """What it is called, as its file is."""
    type: Literal["false_facts", "behaviour", "capability"] = "false_facts"
    """What was put into it: false facts by documents (false_facts, the default), a behaviour, or a
    capability."""
    description: str
    """What it was taught, as a judge is told."""
    facts: list[Fact] = []
    """The facts one by one, for a judge that knows them. None by default."""
    frequent: list[str] = []
    """Frequent words of the documents, which a judge is told. None by default."""
    base: ModelReference
    """The model that every variant was made of."""
    blanks: ModelReference | None = None
    """A file of what methods find in its controls (./x.json, from the organism's file): what limits
    of detection are held against. None when left out."""
    variants: Annotated[Mapping[str, Variant], Field(min_length=1)]
    """The fine-tunes by name; `default` is meant where none is named."""

    @property
    def words(self) -> frozenset[str]:
        """The content words of all facts."""
        return frozenset(word for fact in self.facts for word in fact.words)

    @property
    def controls(self) -> tuple[str, ...]:
        """The names of the controls."""
        return tuple(name for name, each in self.variants.items() if each.control)

    @property
    def mixes(self) -> dict[float, str]:
        """The names of the variants by their mix, the first of each; without controls."""
        found: dict[float, str] = {}
        for name, each in self.variants.items():
            if each.mix is not None and not each.control:
                found.setdefault(each.mix, name)
        return found

    def variant(self, name: str) -> Variant:
        """The variant of a name. Raises `ModelError` for one that it does not have."""
        if name not in self.variants:
            known = ", ".join(self.variants)
            raise ModelError(
                f"organism {self.name} has no variant {name};{suggestion(name, self.variants)} use "
                f"one of {known}"
            )
        return self.variants[name]
