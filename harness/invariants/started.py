"""An engine of its own processes, started once for all the identities of a model."""

from __future__ import annotations

import tempfile
from typing import Any

from harness import registry
from harness.engines import partly, runs
from harness.engines.declared import Declared, Steered, places
from harness.invariants.bench import Restartable
from harness.invariants.families import families
from harness.models.loading import LoadedModel
from harness.models.reference import is_local
from harness.models.sites import hidden_shape
from harness.spec import EngineSettings
from harness.spec.engine_kind import engine_named

_TINY = "tiny/"


class StartedEngine:
    """On a model; one that is in memory only is written to a folder for as long."""

    def __init__(self, loaded: LoadedModel, settings: EngineSettings) -> None:
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        reference = loaded.reference
        if reference.startswith(_TINY) and not is_local(reference):
            self._folder = tempfile.TemporaryDirectory(prefix="titrate-tiny-")
            reference = self._folder.name
            loaded.model.save_pretrained(reference)
            loaded.tokenizer.save_pretrained(reference)
        needs = needs_of_identities(loaded.model.config, settings.name)
        self.engine: Restartable = engine_named(settings.name).opened(reference, settings, needs)

    def close(self) -> None:
        """Stop the engine."""
        self.engine.close()
        if self._folder is not None:
            self._folder.cleanup()


def needs_of_identities(config: Any, engine: str) -> Declared:
    """What the identities that an engine is checked by ask of it on a model of this configuration.

    Their doses; and of their own every block's output read, and it and the attention's steered by
    two terms.
    """
    layers, _ = hidden_shape(config)
    blocks = places(range(layers))
    steered = blocks | places(range(layers), "attention")
    needs = Declared(steered=dict.fromkeys(steered, Steered(2)), read=blocks)
    for family in families():
        runs_all = family.name not in registry.interventions or (
            runs(engine, family.name) and not partly(engine, family.name)
        )
        if runs_all and family.excuse(config) is None:
            needs |= Declared.of(family.doses(config))
    return needs
