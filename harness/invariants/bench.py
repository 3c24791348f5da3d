"""A loaded model under one engine setting, with the requests that identities are checked on.

Prompts are real ones of a task, so that a trained model does what it was trained for, and start
alike, so that prefixes are shared. Completions are short, and there are more requests than slots:
sequences end at different times, move, and hand their slots to others.
"""

from __future__ import annotations

import copy
import random
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from harness.engines.company import Company
from harness.engines.contract import Activations, Capture, Completion, Engine, Reading, Request
from harness.errors import TaskError
from harness.interventions.base import Intervention
from harness.interventions.policy import Guidance
from harness.models.routers import RouterShape, router_shape
from harness.resolve.tasks import task_of
from harness.sampling.chosen import SamplingRules
from harness.spec import EngineSettings, TaskSettings
from harness.spec.engine_kind import engine_named
from harness.tasks.base import Style
from harness.tasks.conversations import render

if TYPE_CHECKING:
    import torch

    from harness.models.loading import LoadedModel

PROMPTS = 2
NEW_TOKENS = 6
# More than the windows of attention that slide; half of what the suite costs is reading prompts.
BARE_TOKENS = 60
SLOTS = 5
# Every pass of fixed shape computes every slot.
SLOTS_OF_FIXED_SHAPES = 3
GREEDY = SamplingRules()
#: How requests of a guidance call the model itself, and another one.
ITSELF, OTHER = "itself", "other"
# Where shapes are fixed, kernels may still sum a row by its place in the batch: measured 5e-7 on
# tiny/qwen2_moe, whose shared experts have a gate of one column.
_TOLERANCE_OF_FIXED_SHAPES = 1e-5
# Batches of other shapes add up in another order: measured on the zoo and on tiny random models in
# float32, log-probabilities move by less than 2e-5. Half types carry 8 to 11 bits.
_TOLERANCE = {"torch.float32": 1e-3, "torch.float64": 1e-6}
_TOLERANCE_OF_HALF_TYPES = 0.25


class Restartable(Engine, Protocol):
    """An engine that can be made to forget what is resident."""

    def forget(self) -> None:
        """Drop everything that later requests could reuse."""


@dataclass
class Bench:
    """What an identity is checked on: a model, an engine, and doses that must change something.

    Benches of the same model and engine share `memory`, in which completions are kept. An engine
    that takes long to start is `started` once for all of them.
    """

    loaded: LoadedModel
    settings: EngineSettings
    doses: tuple[Intervention, ...] = ()
    memory: dict[Any, Any] = field(default_factory=dict)
    started: Restartable | None = None

    @property
    def neutral(self) -> tuple[Intervention, ...]:
        """The neutral dose of every dose, each once."""
        return tuple(dict.fromkeys(dose.neutral() for dose in self.doses))

    @cached_property
    def shape(self) -> RouterShape:
        """The model's routers. Raises `ModelError` where there are none."""
        return router_shape(self.loaded.model.config)

    @property
    def tolerance(self) -> float:
        """How far log-probabilities may part between batches, in nats."""
        if self.settings.determinism == "strict":
            return min(self.rounding, _TOLERANCE_OF_FIXED_SHAPES)
        return self.rounding

    @property
    def rounding(self) -> float:
        """How far log-probabilities may part between ways to compute the same, in nats."""
        return _TOLERANCE.get(str(self.loaded.model.dtype), _TOLERANCE_OF_HALF_TYPES)

    @cached_property
    def prompts(self) -> tuple[tuple[int, ...], ...]:
        """The prompts' token ids, of unequal lengths."""
        task = task_of(TaskSettings(name="micro_humaneval", limit=PROMPTS))
        tokenizer = self.loaded.tokenizer

        def rendered(style: Style) -> list[list[int]]:
            return [render(tokenizer, task.prompt(sample, style)) for sample in task.samples]

        try:
            return tuple(map(tuple, rendered("assisted")))
        except TaskError:  # no chat template, or one that refuses
            # A base or a random model reads the beginning of a prompt as well as all of it.
            return tuple(
                tuple(prompt[: BARE_TOKENS - 12 * index])
                for index, prompt in enumerate(rendered("completion"))
            )

    def requests(
        self, *interventions: Intervention | None, sampling: SamplingRules = GREEDY
    ) -> list[Request]:
        """Every prompt under every intervention; those of a prompt share their randomness."""
        return [
            Request(
                prompt,
                # Unequal, so that slots become free at different steps.
                NEW_TOKENS - 2 * index,
                intervention=intervention,
                sampling=sampling,
                sample=f"prompt {index}",
            )
            for intervention in interventions
            for index, prompt in enumerate(self.prompts)
        ]

    @cached_property
    def mixed(self) -> list[Request]:
        """No intervention, neutral ones and all doses in one queue, greedy and sampled.

        Shuffled, so that every slot is handed from a heavy dose to none and back.
        """
        every = (None, *self.neutral, *self.doses)
        sampled = self.requests(*every[-2:], sampling=SamplingRules(temperature=1.0, top_p=0.9))
        queue = self.requests(*every) + sampled
        return random.Random(1).sample(queue, len(queue))

    def engine(self, **changes: Any) -> Engine:
        """A fresh engine on the model, with nothing resident."""
        if self.started is not None:
            self.started.forget()
            return self.started
        return self._opened(self.loaded, **changes)

    def _opened(self, loaded: LoadedModel, **changes: Any) -> Engine:
        if self.settings.determinism == "strict":
            # Shapes would otherwise be fixed at the model's whole context.
            changes["columns"] = max(map(len, self.prompts)) + NEW_TOKENS
        settings = self.settings.model_copy(update=changes)
        engine: Engine = engine_named(settings.name).opened_on(loaded, settings)
        return engine

    def company(self, **changes: Any) -> Company:
        """A fresh engine beside those that its doses ask: another model, and itself once more."""
        own = self.engine(**changes)
        names = {name for dose in self.doses for name in _asked_by(dose)}
        if not names:
            return Company(own)
        if self.started is not None:  # whose settings mean nothing to an engine of this process
            dtype = self.settings.dtype
            other: Engine = engine_named("transformers").opened_on(
                self.other, EngineSettings(dtype=dtype, slots=SLOTS)
            )
        else:
            other = self._opened(self.other, **changes)
        return Company(own, {**dict.fromkeys(names, other), ITSELF: own})

    @property
    def other(self) -> LoadedModel:
        """Another model of the same tokens: a copy whose weights are moved, made once."""
        if OTHER not in self.memory:
            self.memory[OTHER] = _moved(self.loaded)
        moved: LoadedModel = self.memory[OTHER]
        return moved

    @property
    def watched(self) -> Bench:
        """This bench, or where its engine's modules are out of reach, one that can be watched."""
        if self.started is None:
            return self
        settings = EngineSettings(dtype=self.settings.dtype, slots=SLOTS)
        return Bench(self.loaded, settings, self.doses)

    def together(self, requests: Sequence[Request]) -> list[Completion]:
        """All requests as one queue of a fresh engine, in the order given."""
        key = tuple(requests)
        if key not in self.memory:
            self.memory[key] = completed(self.company(), requests)
        return list(self.memory[key])

    def again(self, *, fresh: bool = False) -> list[Completion]:
        """The mixed queue once more, by an engine of its own; run anew if `fresh`."""
        key = ("again", *self.mixed)
        if fresh or key not in self.memory:
            self.memory[key] = completed(self.company(), self.mixed)
        return list(self.memory[key])

    def alone(self, request: Request) -> Completion:
        """A request by itself: nothing beside it, nothing drafted, nothing resident."""
        if request not in self.memory:
            # Where shapes are fixed, the slots belong to the shape.
            fixed = self.settings.determinism == "strict"
            slots = self.settings.slots if fixed else 1
            company = self.company(slots=slots, drafts=False)
            (self.memory[request],) = completed(company, [request])
        completion: Completion = self.memory[request]
        return completion

    def read(
        self,
        tokens: Sequence[int],
        capture: Capture,
        intervention: Intervention | None = None,
        *,
        prompt: int = 0,
    ) -> Activations:
        """Read a sequence with teacher forcing, by itself; `prompt` of its tokens are a prompt."""
        reading = Reading(tuple(tokens), capture, intervention, prompt)
        ((_, activations),) = self.engine().forward([reading])
        return activations

    def logits(self) -> torch.Tensor:
        """The model's own logits for the first prompt, without an engine."""
        import torch

        tokens = torch.tensor(self.prompts[:1], device=self.loaded.device)
        with torch.inference_mode():
            output = self.loaded.model(input_ids=tokens, use_cache=False)
        logits: torch.Tensor = output.logits
        return logits


def _asked_by(dose: Intervention) -> tuple[str, ...]:
    return dose.engines() if isinstance(dose, Guidance) else ()


def _moved(loaded: LoadedModel) -> LoadedModel:
    """A copy of a model with noise on its weights, so that it says other tokens."""
    import torch

    model = copy.deepcopy(loaded.model)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=generator).to(parameter)
            parameter += noise * parameter.float().std(correction=0).to(parameter.dtype)
    return replace(loaded, model=model, content_hash=f"{loaded.content_hash}, moved")


def completed(engine: Engine | Company, requests: Sequence[Request]) -> list[Completion]:
    """The completions of requests, in the order of the requests."""
    completions = dict(engine.generate(requests))
    return [completions[position] for position in range(len(requests))]


def _dose(intervention: Intervention) -> str:
    """What is done to a request, in words; doses of the same words differ in their last ones."""
    if intervention.is_neutral:
        return f"neutral {intervention.kind}"
    what = " ".join(filter(None, (intervention.kind, intervention.in_words())))
    # Short, and the same in every run: enough to find one mask among five.
    return f"{what}, {zlib.crc32(intervention.fingerprint().encode()):08x}"


def named(request: Request) -> str:
    """A request in a few words: its prompt, what is done to it, and how it is drawn."""
    done = "untouched"
    if request.intervention is not None:
        done = _dose(request.intervention)
    drawn = "".join(f", {rule} {value}" for rule, value in request.sampling.items())
    return f"{request.sample} ({done}{drawn})"
