"""What an engine says of itself before it is loaded: its settings, what it reads, how it is opened.

Whoever plans or checks asks the engine's entry and knows none by name. A part is a reference
`"module:object"`, imported when it is needed, or the object itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from harness import registry

Part: TypeAlias = str | Callable[..., Any]
Captured: TypeAlias = Literal[
    "router_logits", "hidden", "attention", "token_log_probabilities", "top_log_probabilities"
]


@dataclass(frozen=True)
class EngineKind:
    """One engine.

    Args:
        name: As a spec calls it (`engine.name`).
        summary: What it is, in a line.
        settings: The fields of `engine:` that it takes; another one that is set is refused.
        captures: What its readings bring back (`Capture`).
        in_process: Whether a model's modules are at hand in this process.
        open: `(model, settings, needs) -> Engine`, which loads the model.
        check: `(settings)`, raises `FieldError` for what this machine does not have.
        fits: `(experiment)`, raises `FieldError` for what it cannot do with a model it may read the
            configuration of; after `check`.
        unfit: `(configuration) -> str`, why it cannot run a model at all; empty where it can.
    """

    name: str
    summary: str
    settings: frozenset[str]
    captures: frozenset[Captured]
    in_process: bool
    open: Part
    check: Part
    fits: Part | None = None
    unfit: Part | None = None

    def opened(self, model: str, settings: Any, needs: Any) -> Any:
        """The engine with a model loaded."""
        return registry.loaded(self.open)(model, settings, needs)

    def check_machine(self, settings: Any) -> None:
        """Raise `FieldError` for settings that cannot be had here."""
        registry.loaded(self.check)(settings)

    def check_experiment(self, experiment: Any) -> None:
        """Raise `FieldError` for an experiment that it cannot run on its model."""
        if self.fits is not None:
            registry.loaded(self.fits)(experiment)

    def unfit_for(self, config: Any) -> str:
        """Why it cannot run a model of this configuration; empty where it can."""
        return "" if self.unfit is None else str(registry.loaded(self.unfit)(config))


def engine_named(name: str) -> EngineKind:
    """The entry of an engine. Raises RegistryError where none of this name is registered."""
    found: EngineKind = registry.engines.get(name)
    return found


def takers(field: str) -> list[str]:
    """The engines that take a field of `engine:`."""
    return [name for name in registry.engines.names() if field in engine_named(name).settings]
