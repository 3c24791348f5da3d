"""An engine of its own processes, started once for all the identities of a model."""

from __future__ import annotations

import tempfile

from harness.engines.vllm.engine import VllmEngine
from harness.models.loading import LoadedModel, is_local
from harness.spec import EngineSettings

_TINY = "tiny/"


class StartedEngine:
    """vLLM on a model; one that is in memory only is written to a folder for as long."""

    def __init__(self, loaded: LoadedModel, settings: EngineSettings) -> None:
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        reference = loaded.reference
        if reference.startswith(_TINY) and not is_local(reference):
            self._folder = tempfile.TemporaryDirectory(prefix="titrate-tiny-")
            reference = self._folder.name
            loaded.model.save_pretrained(reference)
            loaded.tokenizer.save_pretrained(reference)
        self.engine = VllmEngine(reference, settings)

    def close(self) -> None:
        """Stop the engine."""
        self.engine.close()
        if self._folder is not None:
            self._folder.cleanup()
