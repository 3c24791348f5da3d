"""How tokens are made. `open_engine` is the one place that knows which engines exist."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.engines.base import Engine
from harness.spec.experiment import EngineSettings

if TYPE_CHECKING:
    from harness.models.loading import LoadedModel


def open_engine(model: str, settings: EngineSettings) -> Engine:
    """Load a model into the engine that a spec names. Imports torch."""
    from harness.models.loading import load

    loaded = load(
        model, dtype=settings.dtype, device=settings.device, device_map=settings.device_map
    )
    return engine_on(loaded, settings)


def engine_on(loaded: LoadedModel, settings: EngineSettings) -> Engine:
    """A fresh engine on a model that is in memory already, and that engines may share in turn."""
    from harness.engines.transformers.engine import TransformersEngine

    return TransformersEngine(
        loaded,
        slots=settings.slots,
        columns=settings.columns,
        drafts=settings.drafts,
        determinism=settings.determinism,
    )
