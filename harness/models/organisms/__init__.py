"""Model organisms: what fine-tuning put into a model, and which adapters or checkpoints have it."""

from harness.models.organisms.catalog import lacking_variant, load_organism, organism_names
from harness.models.organisms.organism import Fact, Organism, Variant

__all__ = ["Fact", "Organism", "Variant", "lacking_variant", "load_organism", "organism_names"]
