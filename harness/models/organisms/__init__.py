"""Model organisms: what fine-tuning put into a model, and which adapters or checkpoints have it."""

from harness.models.organisms.blanks import Blanks, blanks_of
from harness.models.organisms.catalog import (
    lacking_variant,
    load_organism,
    organism_names,
    share_of_documents,
)
from harness.models.organisms.organism import Fact, Organism, Variant

__all__ = [
    "Blanks",
    "Fact",
    "Organism",
    "Variant",
    "blanks_of",
    "lacking_variant",
    "load_organism",
    "organism_names",
    "share_of_documents",
]
