"""From settings to an engine: the model is loaded onto its device."""

from __future__ import annotations

from harness.engines.contract import Engine
from harness.engines.declared import Declared
from harness.engines.transformers.engine import TransformersEngine
from harness.models.loading import LoadedModel, load
from harness.spec.experiment import EngineSettings


def opened(model: str, settings: EngineSettings, needs: Declared | None = None) -> Engine:
    """The engine on a model that is loaded for it; an eager forward pass needs not be told."""
    del needs
    loaded = load(
        model, dtype=settings.dtype, device=settings.device, device_map=settings.device_map
    )
    return engine_on(loaded, settings)


def engine_on(loaded: LoadedModel, settings: EngineSettings) -> Engine:
    """A fresh engine on a model that is in memory already, and that engines may share in turn."""
    return TransformersEngine(
        loaded,
        slots=settings.slots,
        columns=settings.columns,
        drafts=settings.drafts,
        determinism=settings.determinism,
    )
