"""One request on its way into vLLM: what is refused first, its parameters, its prefix's salt."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from harness.engines.contract import Completion, Request
from harness.engines.vllm import drawing
from harness.engines.vllm.conditions import Lease
from harness.engines.vllm.entry import ENGINE
from harness.engines.vllm.facts import ModelFacts
from harness.engines.vllm.worker.scheduled import KEY
from harness.errors import ModelError, RequestError
from harness.interventions.adapted_weights import AdaptedWeights, in_a_layer
from harness.interventions.base import Intervention
from harness.interventions.hidden_states import HiddenStates, checked_rows
from harness.interventions.next_token_logits import NextTokenLogits
from harness.interventions.residual import Residual, check_terms
from harness.interventions.router_logits import RouterLogits, check_points
from harness.models.routers import RouterShape, router_shape
from harness.models.sites import hidden_shape
from harness.spec.experiment import EngineSettings


class Refusals:
    """What a model in vLLM cannot run, told by a request alone; `longest` is in tokens."""

    def __init__(self, facts: ModelFacts, settings: EngineSettings, longest: int) -> None:
        self.facts = facts
        self._speculation = settings.speculation
        self._longest = longest
        self._known: set[Intervention] = set()

    @cached_property
    def routers(self) -> RouterShape:
        """The model's routers. Raises `ModelError` where there are none."""
        return router_shape(self.facts.config)

    @cached_property
    def passed(self) -> int:
        """Routers that every token passes; 0 in a dense model, where the number is not used."""
        try:
            return len(self.routers.layers)
        except ModelError:
            return 0

    def check(self, request: Request) -> None:
        """Raise `RequestError`, `FieldError` or `ModelError` for what cannot be run."""
        prompt, vocabulary = request.prompt, self.facts.vocabulary
        if not prompt:
            raise RequestError("the prompt is empty")
        outside = next((token for token in prompt if not 0 <= token < vocabulary), None)
        if outside is not None:
            raise RequestError(f"token id {outside} of the prompt is outside 0..{vocabulary - 1}")
        if request.max_new_tokens < 1:
            raise RequestError(f"max_new_tokens is {request.max_new_tokens}; it must be at least 1")
        if len(prompt) >= self.facts.context:
            raise RequestError(
                f"the prompt has {len(prompt)} tokens, which leaves no room in the model's "
                f"context of {self.facts.context}"
            )
        needed = min(len(prompt) + request.max_new_tokens, self.facts.context)
        if needed > self._longest:
            raise RequestError(
                f"prompt and new tokens are up to {needed} tokens, but the cache holds "
                f"{self._longest}; raise engine.columns or lower sampling.max_new_tokens"
            )
        if (request.distribution or request.logged) and self._speculation is not None:
            raise RequestError(
                f"distributions with engine.speculation: {self._speculation}; leave speculation out"
            )
        if request.attention or request.hidden:
            raise RequestError("vllm does not tell attention or hidden states of what it generates")
        unfit = drawing.refused(request.sampling, self._speculation)
        if unfit is not None:
            rule, problem = unfit
            raise RequestError(f"{rule} {problem}")
        self.check_intervention(request.intervention)

    def check_intervention(self, intervention: Intervention | None) -> None:
        """Raise a `TitrateError` for an intervention that this model cannot take."""
        if intervention is None or intervention in self._known:
            return
        config = self.facts.config
        if isinstance(intervention, RouterLogits):
            mask, shape = intervention.masked(), self.routers
            if mask is None:
                raise RequestError(
                    f"intervention {intervention.kind} changes routings by more than a mask of "
                    "experts, which is what vllm applies; use engine.name: transformers"
                )
            check_points(mask.points, layers=shape.layers, experts=shape.experts)
        elif isinstance(intervention, Residual):
            layers, width = hidden_shape(config)
            check_terms(intervention.additions(), layers=layers, width=width)
        elif isinstance(intervention, HiddenStates):
            layers, width = hidden_shape(config)
            checked_rows(intervention, layers=layers, width=width)
        elif isinstance(intervention, NextTokenLogits):
            if self._speculation is not None:
                raise RequestError(
                    f"intervention {intervention.kind} with engine.speculation: "
                    f"{self._speculation}: drafts are not told apart by row; leave speculation out"
                )
            intervention.rows(self.facts.vocabulary)
        elif isinstance(intervention, AdaptedWeights):
            check_adapter(intervention)
        else:
            raise RequestError(
                f"intervention {intervention.kind} is not applied by vllm, which applies those by "
                f"{', '.join(sorted(ENGINE.mechanisms))}"
            )
        self._known.add(intervention)


def check_adapter(intervention: AdaptedWeights) -> None:
    """Raise `RequestError` for products that vLLM's own LoRA support does not add.

    It reads PEFT's files, and knows no scale beside the one in them.
    """
    if intervention.is_neutral:
        return
    if intervention.scale != 1:
        raise RequestError(
            f"intervention {intervention.kind} at scale {intervention.scale:g}: vllm applies "
            "adapters at scale 1 alone; use engine.name: transformers"
        )
    if intervention.files() is None:
        raise RequestError(
            f"intervention {intervention.kind} has its factors in no files of PEFT's, which is "
            "what vllm reads; use engine.name: transformers"
        )
    outside = next((name for name in intervention.modules() if not in_a_layer(name)), None)
    if outside is not None:
        raise RequestError(
            f"intervention {intervention.kind} has factors of {outside}, which lies in no layer: "
            "vllm does not score prompts with them; use engine.name: transformers"
        )
    intervention.factors()  # raises where the files have changed since


def refused(request: Request, why: object) -> Completion:
    """What comes of a request that cannot be run."""
    return Completion((), "", "error", error=f"{request.sample}: {why}")


def rejections() -> tuple[type[Exception], ...]:
    """What vLLM raises for a request that it rejects; its own errors are not `ValueError`s."""
    from vllm.exceptions import VLLMValidationError

    return ValueError, VLLMValidationError


def parameters(request: Request, lease: Lease, facts: ModelFacts) -> Any:
    """The `SamplingParams` of a request; it is greedy to vLLM, see `processors_v1.py`."""
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind

    arguments: dict[str, Any] = {}
    if lease.payload:
        arguments[KEY] = lease.payload
    drawn = drawing.payload(request)
    if drawn is not None:
        arguments[drawing.KEY] = drawn
    return SamplingParams(
        temperature=0.0,
        max_tokens=min(request.max_new_tokens, facts.context - len(request.prompt)),
        stop_token_ids=sorted(facts.end_tokens | request.stop.tokens),
        ignore_eos=True,  # the end tokens are among the stop tokens
        logprobs=-1 if request.distribution or request.logged else 0,
        detokenize=False,
        output_kind=RequestOutputKind.DELTA,
        extra_args=arguments or None,
    )


def prompt_of(tokens: tuple[int, ...], intervention: Intervention | None, prompt: int) -> Any:
    """A prompt as vLLM takes it. Only requests of equal salts share what is cached of prefixes.

    The salt is the intervention's key of an endless prefix: of everything that it will ever do.
    """
    given: dict[str, Any] = {"prompt_token_ids": list(tokens)}
    if intervention is not None and not intervention.is_neutral:
        salt = intervention.prefix_key(_ENDLESS, prompt)
        if salt:
            given["cache_salt"] = salt
    return given


# Longer than any sequence, so that every dose of every step is in the key.
_ENDLESS = 2**31
