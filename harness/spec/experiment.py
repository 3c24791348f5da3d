"""The form that a spec file fills in: frozen pydantic models, nothing loaded, torch never imported.

Every family of experiments is a filling of `Experiment`. A field is added here when the code that
reads it exists; which sections an intervention may have is up to its registered kinds, and which
sections stand under the names of measures is up to these (`measure_sections.py`). The JSON
Schema in `specs/experiment.schema.json` is generated from these classes (`titrate schema
experiment`), so their docstrings and descriptions are what an editor shows.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    JsonValue,
    ModelWrapValidatorHandler,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    SerializationInfo,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from harness import registry
from harness.spec.addresses import addressed
from harness.spec.engine_kind import engine_named, takers
from harness.spec.gates import Gate
from harness.spec.intervention import AnyIntervention
from harness.spec.measure_sections import (
    section_form,
    sections,
    validated_sections,
    with_sections,
)
from harness.spec.metric import AnyMetric
from harness.spec.registered import registered
from harness.spec.resources import Resources
from harness.spec.sampling import Sampling, unsaid
from harness.spec.search import SearchSettings
from harness.spec.settings import ModelReference, Settings, SpecPath
from harness.spec.stop import StopSettings
from harness.spec.style import Style
from harness.spec.task import TaskSettings
from harness.spec.window import WindowSettings


def _day(text: str) -> str:
    try:
        if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
            dt.date.fromisoformat(text)
            return text
    except ValueError:
        pass
    raise ValueError(f"{text[:40]!r} is not a day; write it as 2026-01-31")


def _asked_as_lm_eval_asks(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a spec leaves unsaid where its task is lm-eval's: the measure, and bare text."""
    task = values.get("task")
    named = task.get("lm_eval") if isinstance(task, Mapping) else getattr(task, "lm_eval", None)
    if named is None:
        return values
    prompt = values.get("prompt", {})
    if isinstance(prompt, Mapping):
        prompt = {"style": "completion", **prompt}
    return {"measure": "lm_eval", **values, "prompt": prompt}


class PromptSettings(Settings):
    """How a sample is put to the model."""

    style: Style = "assisted"
    """How a sample reaches the model. assisted, the default: the user pastes it into one turn.
    agentic: it lies in a file, which a tool call of the assistant has read. completion: bare text
    without a chat template, for a base model; the default for a task of lm-eval's, whose chat
    template is applied by assisted."""
    pairs: SpecPath | None = None
    """The prompts of a pair_tokens.json (which `titrate pairs align` writes) replace the task's
    own, token by token; relative to the folder of the spec. The task's own prompts when left
    out."""
    date: (
        Annotated[str, Field(json_schema_extra={"format": "date"}), AfterValidator(_day)] | None
    ) = None
    """The day, written as 2026-01-31, that a chat template which prints the date is told. The day
    of the run when left out."""
    template: str | None = None
    """What is asked of a record of one's own data: a Jinja template over its fields, such as
    "Question: {{ question }}". The record's prompt or messages when left out."""
    system: str | None = None
    """A system message that stands in front of one's own data (in bare style, a text): a Jinja
    template over the record's fields. None when left out."""

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


class EngineSettings(Settings):
    """What makes the tokens, and at which precision. Each engine takes the fields that name it."""

    name: Annotated[str, registered(registry.engines)] = "transformers"
    """The engine that makes tokens: transformers, the default; vllm, which has an installation of
    its own (docs/vllm.md); or served, a server that speaks OpenAI's protocol (docs/served.md)."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """The type in which weights and activations are held. auto, the default, is float32 on a CPU
    and the checkpoint's own type elsewhere."""
    device: str = "auto"
    """transformers: the device that the model runs on, such as cuda:1. auto, the default, takes
    CUDA, else MPS, else the CPU."""
    device_map: Literal["auto"] | None = None
    """transformers: auto spreads the layers over all devices, and the CPU if need be (needs
    accelerate). One device holds the model when left out."""
    slots: PositiveInt | None = None
    """How many sequences are decoded at once; more are faster and need more memory. When left out,
    transformers sizes it by free memory, and vllm takes 64 on a CPU and 256 on a GPU."""
    columns: PositiveInt | None = None
    """How many tokens of a sequence, prompt and completion, the cache holds; longer requests are
    refused. When left out, transformers sizes it by the requests, and vllm by the model's
    context."""
    drafts: bool = True
    """transformers: propose tokens that other conditions of the same sample have said, which is
    faster and never changes what is generated. true by default."""
    determinism: Literal["fast", "strict"] = "fast"
    """transformers: fast, the default, shapes its passes by what runs together. strict gives every
    pass one fixed shape, so that tokens do not depend on a request's company; it is slower."""
    tensor_parallel_size: PositiveInt | None = None
    """vllm: how many devices share every layer. 1 when left out."""
    pipeline_parallel_size: PositiveInt | None = None
    """vllm: how many groups of devices hold a part of the layers each. 1 when left out."""
    distributed_executor: Literal["mp", "ray"] | None = None
    """vllm: what starts its workers, mp (processes of this machine) or ray (several machines). vLLM
    chooses when left out."""
    separate_process: bool | None = None
    """vllm: true schedules in a process of its own. It schedules in this process when left out."""
    gpu_memory_utilization: Annotated[float, Field(gt=0, le=1)] | None = None
    """vllm: the share (0 to 1) of a GPU's memory that weights and cache may take. vLLM's own
    default when left out; refused on a CPU."""
    max_num_batched_tokens: PositiveInt | None = None
    """vllm: the most tokens that one pass reads. When left out, 2048, or as many as the cache's
    columns if these are more."""
    enforce_eager: bool | None = None
    """vllm: true neither compiles nor captures the forward pass. When left out, true on a CPU and
    false on a GPU."""
    model_runner: Literal["v1", "v2"] | None = None
    """vllm: which of its model runners is used, v1 or v2, which needs Triton and so a GPU. v1 when
    left out."""
    speculation: Literal["ngram", "suffix"] | None = None
    """vllm: propose the tokens that followed the same ones before, in the sequence (ngram) or in
    any sequence (suffix, needs arctic-inference); greedy cases only. Off when left out."""
    base_url: str | None = None
    """served: the server that is asked, by its address, such as http://127.0.0.1:8000/v1. This
    engine is refused when it is left out."""
    api_key_env: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] | None = None
    """served: the environment variable that holds the server's key, such as OPENAI_API_KEY; the key
    itself is written nowhere. No key is sent when left out."""
    served_model: Annotated[str, Field(min_length=1)] | None = None
    """served: what the server calls the model, and answers with. When left out, what the spec calls
    it."""
    road: Literal["tokens", "text", "chat"] = "tokens"
    """served: what is exchanged. tokens, the default: token ids, which vLLM's server takes and
    gives. text: completions of text, which must re-encode to the same ids. chat: messages, of which
    a byte is a token, for a server whose tokenizer is unknown."""
    concurrency: PositiveInt = 8
    """served: how many requests are in flight at once; 8 by default."""
    timeout: PositiveFloat = 120.0
    """served: the seconds after which an attempt is given up; 120 by default."""
    retries: NonNegativeInt = 5
    """served: how often a request is tried again that timed out, was turned away (429) or met an
    error of the server (5xx), after waits that double; 5 by default. Then it has failed."""
    token_limit: PositiveInt | None = None
    """served: how many tokens, of prompts and completions, one process may spend at the server;
    what does not fit any more is not asked, and fails by name. No limit when left out."""

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
    """How much memory, in GiB, the largest visible accelerator must have; cases are skipped where
    it has less. Any machine will do when left out."""
    network: bool = False
    """Whether the model or the data must be fetched from the Hugging Face hub; cases are skipped
    where it is out of reach. false by default."""


class Experiment(Settings):
    """One experiment: a model, a task, an intervention, sampling, axes and gates.

    >>> import harness
    >>> plain = {"name": "plain", "model": "zoo/moe", "task": {"name": "micro_gsm8k"}}
    >>> experiment = harness.Experiment.model_validate(plain)
    >>> experiment.sampling.temperature, experiment.prompt.style
    (0.0, 'assisted')
    """

    # Beside its fields it has the sections of registered measures, which are known at run time only
    # (`_with_sections`); they are written and compared as fields are.
    model_config = ConfigDict(extra="allow")

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.+-]*$", max_length=100)]
    """The first part of every case's id and of the names of the report's files: at most 100
    letters, digits and _ . + -."""
    description: str = ""
    """What the experiment is for, in your own words; nothing depends on it. Empty by default."""
    model: ModelReference
    """What is measured: a zoo member (zoo/moe), a local folder (./x or /x), a Hugging Face id, or a
    server's address, http://127.0.0.1:8000/v1 (docs/served.md)."""
    task: TaskSettings
    """What is asked: a registered task, or one's own data, and which of its samples."""
    prompt: PromptSettings = PromptSettings()
    """How a sample is put to the model; assisted by default."""
    measure: Annotated[str, registered(registry.measures)] = "generate"
    """What is read of the model. generate, the default: answers, which are scored. forward: forward
    passes over the reference answer in both chat styles. likelihood: how likely the reference
    answer is behind its prompt. choice: whether the right one of given answers is the most
    probable. nll: how likely given texts are. lm_eval: what a task of lm-eval's asks, and the
    default for one. Other packages may register more."""
    metrics: list[AnyMetric] = []
    """Metrics that are counted beside the task's own, the first of which is the primary one: names
    of registered ones, such as median_tokens, or kinds with their settings, such as {kind:
    contains, text: thank}. No further ones by default."""
    columns: list[Annotated[str, registered(registry.columns)]] = []
    """Numbers per generated token, such as log_probability, that samples.jsonl keeps and the page
    shows. None are kept by default."""
    metric: str | None = None
    """The metric that tables, plots and gates without one are about: one of the task or of the
    measure, such as tool_call, or one of metrics. The first of metrics when left out, or else of
    the task or of the measure."""
    reference: ModelReference | None = None
    """The model that reads completions for metrics such as fluency; it has the same tokenizer. The
    experiment's own model, untouched, when left out."""
    intervention: AnyIntervention | None = None
    """What is done to the model while it runs, by a registered `kind`. Nothing, the baseline alone,
    when left out."""
    sampling: Sampling = Field(default_factory=unsaid)
    """How tokens are drawn: a field for each registered rule, and how much is drawn. Decoding is
    greedy by default."""
    engine: EngineSettings = EngineSettings()
    """What makes the tokens, and at which precision. Each engine takes the fields that name it, and
    those that name none; transformers by default."""
    seed: NonNegativeInt = 0
    """The seed of the draws, which greedy decoding does not use; 0 by default. Conditions of a
    sweep share their randomness."""
    axes: dict[str, list[JsonValue]] = {}
    """Dotted fields, such as intervention.count, with the list of values that each takes; the cases
    are the product. One case by default."""
    dose: str | None = None
    """The axis along which the intervention grows stronger: x of the dose-response plot. No such
    plot is drawn when left out."""
    gates: list[Gate] = []
    """Claims that fail the run when they do not hold: neutral_equals_baseline, pass@1 >= 0.9 where
    count=0, monotone within CI, no worse than SAVED by more than 0.02 (paired, p < 0.05), same
    across engine.name. No claims by default."""
    window: WindowSettings | None = None
    """Two metrics between which a therapeutic window is looked for: what the intervention is meant
    to move, and what it must not cost. None is looked for when left out."""
    stop: StopSettings | None = None
    """When the run has seen enough and stops itself. Every case sees every sample when left out."""
    requires: Requirements = Requirements()
    """What the machine must offer; cases are skipped where it does not. Nothing by default."""
    resources: Resources = Resources()
    """What a task asks a cluster for where `titrate submit` runs the cases; other runs pass it
    by."""
    search: SearchSettings | None = None
    """A search for the best values of some fields, which `titrate search` runs. The spec has cases
    to run, and no search, when left out."""

    def section_of(self, measure: str) -> Any:
        """The section that stands under a measure's name: as written, or else its defaults."""
        written = (self.__pydantic_extra__ or {}).get(measure)
        return sections()[measure]() if written is None else written

    @model_validator(mode="wrap")
    @classmethod
    def _with_sections(cls, values: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        if not isinstance(values, Mapping):
            return handler(values)
        values = addressed(_asked_as_lm_eval_asks(values))
        own = {key: value for key, value in values.items() if key in cls.model_fields}
        others = {key: value for key, value in values.items() if key not in cls.model_fields}
        errors: list[Any] = []
        try:
            experiment = handler(own)
        except ValidationError as error:
            errors += error.errors()
        try:
            found = validated_sections(others, own.get("measure"))
        except ValidationError as error:
            errors += error.errors()
        if errors:
            raise ValidationError.from_exception_data(cls.__name__, errors)
        assert experiment.__pydantic_extra__ is not None, "a form that takes more than its fields"
        experiment.__pydantic_extra__.update(found)
        return experiment

    @model_serializer(mode="wrap")
    def _written(
        self, handler: SerializerFunctionWrapHandler, info: SerializationInfo
    ) -> dict[str, Any]:
        written: dict[str, Any] = handler(self)
        if info.exclude_defaults:
            for name in self.__pydantic_extra__ or {}:
                if not written.get(name):
                    written.pop(name, None)
        return written

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        form = handler(schema)
        named = handler.resolve_ref_schema(form)
        others = handler.resolve_ref_schema(handler(section_form().__pydantic_core_schema__))
        named["properties"] = with_sections(named["properties"], others.get("properties", {}))
        named["additionalProperties"] = False
        return form
