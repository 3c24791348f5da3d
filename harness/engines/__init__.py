"""How tokens are made. `open_engine` is the one place that knows which engines exist."""

from __future__ import annotations

from harness.engines.base import Engine
from harness.spec.experiment import EngineSettings


def open_engine(model: str, settings: EngineSettings) -> Engine:
    """Load a model into the engine that a spec names. Imports torch."""
    from harness.engines.transformers.engine import TransformersEngine
    from harness.models.loading import load

    loaded = load(
        model, dtype=settings.dtype, device=settings.device, device_map=settings.device_map
    )
    return TransformersEngine(
        loaded,
        slots=settings.slots,
        columns=settings.columns,
        drafts=settings.drafts,
        determinism=settings.determinism,
    )
