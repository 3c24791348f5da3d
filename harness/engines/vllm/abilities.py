"""What the workers of a running engine can do: an eager engine's learn more at any time."""

from __future__ import annotations

from harness.engines.declared import Declared
from harness.engines.vllm.canary import Generate, check_reached
from harness.engines.vllm.conditions import Conditions
from harness.engines.vllm.requests import Refusals
from harness.engines.vllm.workers import Workers
from harness.errors import RequestError
from harness.models.sites import hidden_shape


class Abilities:
    """What was installed and felt; what was only asked for may be missing from the model.

    Args:
        workers: Those of the engine.
        conditions: The rows of their tables.
        refusals: What is known of the model.
        answered: Generates completions, in the order of their requests.
        eager: Whether the forward pass can still change.
    """

    def __init__(
        self,
        workers: Workers,
        conditions: Conditions,
        refusals: Refusals,
        answered: Generate,
        *,
        eager: bool,
    ) -> None:
        self._workers = workers
        self._conditions = conditions
        self._refusals = refusals
        self._answered = answered
        self._eager = eager
        self._able = Declared()

    def allow(self, needed: Declared) -> None:
        """Make sure that the workers can do this; an eager engine's learn it now."""
        lacking = self._able.lacks(needed)
        if lacking is None:
            return
        able = self._able
        if needed.adapters > able.adapters or needed.adapted - able.adapted:
            raise RequestError(
                f"{lacking}, which were not declared when the engine started: vLLM has room for "
                "adapters only in a model that was loaded for them"
            )
        if not self._eager:
            raise RequestError(
                f"{lacking} was not declared when the engine started, and a compiled model cannot "
                "learn it; set engine.enforce_eager: true"
            )
        self.grow(needed)

    def grow(self, needed: Declared) -> None:
        """Put what is needed into the models, and see that it is felt there."""
        self._workers.install(needed, self._conditions)
        facts = self._refusals.facts
        _, width = hidden_shape(facts.config)
        shape = self._refusals.routers if needed.masks else None
        check_reached(needed, self._answered, facts.vocabulary, width, shape)
        self._able |= needed
