"""What an engine says of itself before it is loaded: what it takes, does and reads, how it opens.

Planning and checks ask the engine's entry and know none by name. A part is a reference
`"module:object"`, imported when it is needed, or the object itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from harness import registry

Part: TypeAlias = str | Callable[..., Any]
Captured: TypeAlias = Literal["router_logits", "hidden", "logits"]
Told: TypeAlias = Literal["attention", "hidden"]
#: By what an intervention acts.
Mechanism: TypeAlias = Literal[
    "router_logits",
    "residual",
    "hidden_states",
    "next_token_logits",
    "policy",
    "guidance",
    "adapted_weights",
]


@dataclass(frozen=True)
class EngineKind:
    """One engine.

    Args:
        name: As a spec calls it (`engine.name`).
        summary: What it is, in a line.
        settings: The fields of `engine:` that it takes; another one that is set is refused.
        mechanisms: Those by which it applies interventions; a kind that acts by another is refused.
            `policy` needs completions that bring back distributions; `guidance`, which a company
            of engines follows together, needs nothing of any.
        partial: Those of them of which it applies what it can and refuses the rest, request by
            request; identities, which need all of it, leave them out.
        captures: What its readings bring back from inside a model (`Capture`); an experiment that
            reads something else is refused. Log-probabilities of tokens every engine has.
        tells: What its completions bring back of the pass of a prompt's last token (`Request`).
        open: `(model, settings, needs) -> Engine`, which loads the model.
        check: `(settings)`, raises `FieldError` for what this machine does not have.
        fits: `(experiment)`, raises `FieldError` for what it cannot do with a model it may read the
            configuration of; after `check`.
        unfit: `(configuration) -> str`, why it cannot run a model at all; empty where it can.
        onto: `(loaded, settings) -> Engine`, a fresh engine on a model that is in memory; only for
            an engine of this process, where a model's modules are at hand.
        tokens: `(model, settings) -> tokenizer`, for an engine whose tokens may be others than
            those of the model's own files.
        inputs: `(model, settings) -> JSON`, what decides a fingerprint, for an engine that has no
            files of its model; it is found without opening the engine.
        stands: `(settings) -> (reference, name)`, for an engine that asks a server: the one model
            that stands at the address of these settings, whose files the reference names, and what
            the server calls it where that is something else (`harness/spec/addresses.py`).
    """

    name: str
    summary: str
    settings: frozenset[str]
    mechanisms: frozenset[Mechanism]
    captures: frozenset[Captured]
    open: Part
    check: Part
    tells: frozenset[Told] = frozenset()
    fits: Part | None = None
    unfit: Part | None = None
    partial: frozenset[Mechanism] = frozenset()
    onto: Part | None = None
    tokens: Part | None = None
    inputs: Part | None = None
    stands: Part | None = None

    @property
    def in_process(self) -> bool:
        """Whether a model's modules are at hand in this process."""
        return self.onto is not None

    def opened(self, model: str, settings: Any, needs: Any) -> Any:
        """The engine with a model loaded."""
        return registry.loaded(self.open)(model, settings, needs)

    def opened_on(self, loaded: Any, settings: Any) -> Any:
        """A fresh engine of this process on a model that is in memory."""
        assert self.onto is not None
        return registry.loaded(self.onto)(loaded, settings)

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
