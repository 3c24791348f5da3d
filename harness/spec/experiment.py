"""The form that a spec file fills in: frozen pydantic models, nothing loaded, torch never imported.

Every family of experiments is a filling of `Experiment`. A field is added here when the code that
reads it exists; which sections an intervention may have is up to its registered kinds. The JSON
Schema in `specs/experiment.schema.json` is generated from these classes (`titrate schema
experiment`), so their docstrings and descriptions are what an editor shows.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    Field,
    JsonValue,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from harness import registry
from harness.spec.engine_kind import engine_named, takers
from harness.spec.gates import Gate
from harness.spec.intervention import AnyIntervention
from harness.spec.registered import registered
from harness.spec.sampling import Sampling, unsaid
from harness.spec.search import SearchSettings
from harness.spec.settings import ModelReference, Settings, SpecPath
from harness.spec.usage_expression import UsageText


def _day(text: str) -> str:
    try:
        if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
            dt.date.fromisoformat(text)
            return text
    except ValueError:
        pass
    raise ValueError(f"{text[:40]!r} is no day; write it as 2026-01-31")


class TaskSettings(Settings):
    """What is asked."""

    name: str
    """A registered task: micro_humaneval, micro_gsm8k, humaneval, gsm8k."""
    limit: PositiveInt | None = None
    """Use only the first so many samples."""
    path: SpecPath | None = None
    """A local data file in the task's own format, instead of its usual source."""
    only: SpecPath | None = None
    """A JSON file with a list of sample ids: only these samples, in this order."""


class PromptSettings(Settings):
    """How a sample is put to the model."""

    style: Literal["assisted", "agentic", "completion"] = "assisted"
    """One user turn; a tool call that reads a file; or bare text for a model without a template."""
    pairs: SpecPath | None = None
    """A pair_tokens.json (`titrate pairs align`) whose prompts replace the task's own."""
    date: (
        Annotated[str, Field(json_schema_extra={"format": "date"}), AfterValidator(_day)] | None
    ) = None
    """The day (2026-01-31) that a chat template which prints one is told; today when left out."""

    @property
    def day(self) -> dt.date | None:
        """The pinned day, None for today's."""
        return None if self.date is None else dt.date.fromisoformat(self.date)

    @model_validator(mode="after")
    def _pairs_are_rendered(self) -> Self:
        if self.pairs is not None and self.date is not None:
            raise ValueError(
                "date means nothing to pairs, which are rendered already; leave it out"
            )
        return self


class ForwardSettings(Settings):
    """What a forward measurement keeps, beside the numbers in its report."""

    hidden: Literal["none", "full", "canonical", "pooled"] = "none"
    """Hidden states: of every token, of the answer's non-blank tokens, or their mean."""
    dtype: Literal["float16", "bfloat16", "float32"] = "float16"
    """The type that hidden states are stored in."""
    orderings: list[UsageText] = []
    """Usage expressions to write points files for, beside the study's own."""


class EngineSettings(Settings):
    """What makes the tokens, and at which precision. Each engine takes the fields that name it."""

    name: Annotated[str, registered(registry.engines)] = "transformers"
    """transformers, or vllm (an installation of its own; docs/vllm.md)."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """auto: float32 on a CPU, the checkpoint's own type elsewhere."""
    device: str = "auto"
    """auto (CUDA, then MPS, then CPU), or a torch device such as cuda:1."""
    device_map: Literal["auto"] | None = None
    """auto: spread the model over all devices, and the CPU if need be (needs accelerate)."""
    slots: PositiveInt | None = None
    """Sequences decoded at once; sized from free memory when left out."""
    columns: PositiveInt | None = None
    """Tokens per sequence that the cache holds; sized from the requests when left out."""
    drafts: bool = True
    """transformers: propose what other conditions of the sample said; never changes what is
    generated."""
    determinism: Literal["fast", "strict"] = "fast"
    """strict: fixed shapes, so that tokens do not depend on what a request is batched with."""
    tensor_parallel_size: PositiveInt | None = None
    """vllm: devices that share every layer."""
    pipeline_parallel_size: PositiveInt | None = None
    """vllm: groups of devices that each hold a part of the layers."""
    distributed_executor: Literal["mp", "ray"] | None = None
    """vllm: how its workers are started; ray for several machines."""
    separate_process: bool | None = None
    """vllm: schedule in a process of its own, and not in this one (the default)."""
    gpu_memory_utilization: Annotated[float, Field(gt=0, le=1)] | None = None
    """vllm: share of a GPU's memory for weights and the cache."""
    max_num_batched_tokens: PositiveInt | None = None
    """vllm: tokens of one pass."""
    enforce_eager: bool | None = None
    """vllm: neither compile nor capture the forward pass; the default on a CPU."""
    model_runner: Literal["v1", "v2"] | None = None
    """vllm: which of its model runners; v1 by default. v2 needs Triton, and so a GPU."""
    speculation: Literal["ngram", "suffix"] | None = None
    """vllm: propose tokens that followed the same ones before, in the sequence (ngram) or in any
    (suffix, needs arctic-inference); greedy requests only."""

    @model_validator(mode="after")
    def _one_engine(self) -> Self:
        for field, info in type(self).model_fields.items():
            value = getattr(self, field)
            if field == "name" or value == info.default:
                continue  # nothing is asked of an engine: no entry has to be loaded
            if field not in engine_named(self.name).settings:
                able = " or ".join(takers(field))
                remedy = "leave it out" + (f", or use engine.name: {able}" if able else "")
                raise ValueError(f"{field}: {value} means nothing to {self.name}; {remedy}")
        return self


class Requirements(Settings):
    """What the machine must offer; a case skips, by name, where it does not."""

    gpu_memory_gib: PositiveFloat | None = None
    """Memory of the largest visible accelerator."""
    network: bool = False
    """The model or the data must be fetched from the Hugging Face hub."""


class Experiment(Settings):
    """One experiment: a model, a task, an intervention, sampling, axes and gates.

    >>> import harness
    >>> plain = {"name": "plain", "model": "zoo/moe", "task": {"name": "micro_gsm8k"}}
    >>> experiment = harness.Experiment.model_validate(plain)
    >>> experiment.sampling.temperature, experiment.prompt.style
    (0.0, 'assisted')
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.+-]*$", max_length=100)]
    """First part of every case's id, and of the names of the report's files."""
    description: str = ""
    model: ModelReference
    """A zoo member (zoo/moe), a local folder (./x or /x), or a Hugging Face id."""
    task: TaskSettings
    prompt: PromptSettings = PromptSettings()
    measure: Annotated[str, registered(registry.measures)] = "generate"
    """generate: answers that are scored; forward: forward passes over the reference answer in both
    chat styles; likelihood: how likely it is behind its prompt; or another registered measure."""
    forward: ForwardSettings = ForwardSettings()
    metrics: list[Annotated[str, registered(registry.metrics)]] = []
    """Registered metrics that are counted beside the task's own, such as median_tokens."""
    columns: list[Annotated[str, registered(registry.columns)]] = []
    """Numbers per generated token to keep in samples.jsonl and to show on the page, such as
    log_probability."""
    metric: str | None = None
    """The metric that tables, plots and gates without one are about: any that the task, or the
    measure, has, such as tool_call, or a registered one. Their own first one when left out."""
    reference: ModelReference | None = None
    """The model that reads completions for metrics such as fluency, with the same tokenizer; the
    experiment's own model, untouched, when left out."""
    intervention: AnyIntervention | None = None
    sampling: Sampling = Field(default_factory=unsaid)
    engine: EngineSettings = EngineSettings()
    seed: NonNegativeInt = 0
    axes: dict[str, list[JsonValue]] = {}
    """Dotted fields with the values they take; the cases are their product."""
    dose: str | None = None
    """The axis along which the intervention grows stronger: x of the dose-response plot."""
    gates: list[Gate] = []
    """Claims that fail the run when they do not hold: neutral_equals_baseline,
    pass@1 >= 0.9 where count=0, monotone within CI,
    no worse than SAVED by more than 0.02 (paired, p < 0.05), same across engine.name."""
    requires: Requirements = Requirements()
    search: SearchSettings | None = None
    """Search for the best values of some fields (titrate search) instead of running cases."""
