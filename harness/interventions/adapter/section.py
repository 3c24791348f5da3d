"""The section of a spec that adapts: a LoRA adapter, by folder or by organism, at a scale."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from harness.interventions.steering_terms import Float32
from harness.spec.intervention import InterventionSettings
from harness.spec.settings import ModelReference


class AdapterSettings(InterventionSettings):
    """Adds a LoRA adapter to the model's weights, times a scale."""

    kind: Literal["adapter"]
    """The kind of intervention is adapter: a LoRA adapter added to the weights."""
    path: ModelReference | None = None
    """The adapter is read from here: a folder that PEFT wrote (./x or /x), or a Hugging Face id.
    The adapter of `organism` is taken when left out."""
    organism: ModelReference | None = None
    """A model organism whose variant is the adapter: one that ships (titrate list organisms), or a
    file (./x.yaml). None when left out; then `path` says which adapter."""
    variant: Annotated[str, Field(min_length=1)] | None = None
    """The fine-tune of the organism that is added, by its name, such as mix1-0p5. `default` is
    added when left out."""
    scale: Float32 = 1.0
    """What the adapter's product is multiplied by. It is the dose: 0 is neutral, and 1, the
    default, is the fine-tuned model."""

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.path is None) == (self.organism is None):
            raise ValueError("an adapter has either a path or an organism; give one of the two")
        if self.variant is not None and self.organism is None:
            raise ValueError(f"variant {self.variant} is of an organism; give its name as organism")
        return self

    def neutral(self) -> Self:
        """The same adapter at scale 0."""
        return self.model_copy(update={"scale": 0.0})
