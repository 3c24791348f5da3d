"""What records must look like as JSON, before anything is made of them.

A sum that fits says that a line is as it was written, not by whom. pydantic checks every field of
a document, however deep, in one pass of compiled code; types are strict, so that "1" is not a
number. Extra keys are those of later versions, and are left alone.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired, TypeAlias

from pydantic import ConfigDict, Field, InstanceOf, JsonValue, Strict, TypeAdapter, with_config
from typing_extensions import TypedDict  # pydantic wants it before Python 3.12

from harness.engines.contract import FinishReason
from harness.interventions.steering_terms import Site
from harness.spec.metric import Good, Sort
from harness.store.results import CaseStatus, End
from harness.tasks.base import Doubt

_STRICT = ConfigDict(strict=True)

#: pydantic's own text is UTF-8, but models do write lone surrogates.
Text: TypeAlias = InstanceOf[str]
#: Bounded by what arrays hold, so that no later arithmetic overflows.
Natural: TypeAlias = Annotated[int, Field(ge=0, le=2**63 - 1)]
Whole: TypeAlias = Annotated[int, Field(ge=-(2**63), le=2**63 - 1)]
# JSON has lists only; strict Python would want tuples.
_List = Strict(strict=False)
Tokens: TypeAlias = Annotated[tuple[Natural, ...], _List]
Floats: TypeAlias = Annotated[tuple[float, ...], _List]
Texts: TypeAlias = Annotated[tuple[Text, ...], _List]
Finite: TypeAlias = Annotated[float, Field(allow_inf_nan=False)]
Positive: TypeAlias = Annotated[float, Field(gt=0, allow_inf_nan=False)]


@with_config(_STRICT)
class CompletionShape(TypedDict):
    """A completion; records of earlier versions have no traces, and states only where there are.

    Only what a server was asked has its answer.
    """

    tokens: Tokens
    text: Text
    finish_reason: FinishReason
    log_probabilities: Floats
    counts: dict[Text, int]
    error: Text | None
    traces: NotRequired[dict[Text, Floats]]
    states: NotRequired[dict[Text, Floats]]
    answer: NotRequired[Any]


@with_config(_STRICT)
class ScoredShape(TypedDict):
    """The scores of continuations; only scorings without an error are kept."""

    log_probabilities: Annotated[tuple[Annotated[tuple[Finite, ...], _List], ...], _List]
    greedy: Annotated[tuple[Annotated[tuple[bool, ...], _List], ...], _List]
    counts: dict[Text, int]
    answers: NotRequired[Annotated[tuple[Any, ...], _List]]


@with_config(_STRICT)
class ScoredReplyShape(ScoredShape):
    """What a metric was told for a scoring, which may be that nothing came of it."""

    error: NotRequired[Text]


@with_config(_STRICT)
class DrawShape(TypedDict):
    """A scored completion; `score` is correct, parsed, detail, tool_call, doubt, answer.

    It is correct, wrong, or None where there was no answer to hold it against. Records of earlier
    versions have no answer, or no doubt either, and where fluency was asked for, a reference: the
    log-probabilities of its tokens under the model that read them.
    """

    sample: Text
    draw: Natural
    prompt: Text
    completion: CompletionShape
    score: Annotated[
        Annotated[tuple[bool | None, bool, Text, bool, Doubt, Text | None], _List]
        | Annotated[tuple[bool | None, bool, Text, bool, Doubt], _List]
        | Annotated[tuple[bool, bool, Text, bool], _List],
        # They differ in length: where one fits no other needs to be looked at.
        Field(union_mode="left_to_right"),
    ]
    agreement: Natural | None
    pieces: NotRequired[Annotated[tuple[Text, ...], _List]]
    instead: NotRequired[Annotated[tuple[Annotated[tuple[Natural, Text], _List], ...], _List]]
    reference: NotRequired[Floats]


@with_config(_STRICT)
class DepartureShape(TypedDict):
    """Where two completions part."""

    request: Text
    token: Natural
    own: Natural | None
    expected: Natural | None
    log_probability_gap: float | None


@with_config(_STRICT)
class FindingShape(TypedDict):
    """An identity that was checked."""

    name: Text
    case: Text
    holds: bool
    detail: Text
    departure: DepartureShape | None


@with_config(_STRICT)
class UsageShape(TypedDict):
    """A map of router usage, a row of values per layer."""

    expression: Text
    layers: Annotated[tuple[Natural, ...], _List]
    values: Annotated[tuple[Floats, ...], _List]


@with_config(_STRICT)
class ArrayShape(TypedDict):
    """An array, such as a vector [H]: its shape, and its bytes in base64."""

    shape: Annotated[tuple[Natural, ...], _List]
    float32: Text


LayerArrays: TypeAlias = Annotated[tuple[Annotated[tuple[Natural, ArrayShape], _List], ...], _List]


@with_config(_STRICT)
class VectorsShape(TypedDict):
    """Steering vectors; those of earlier versions have no probes."""

    site: Site
    vectors: LayerArrays
    residual_norms: Annotated[tuple[Annotated[tuple[Natural, Positive], _List], ...], _List]
    facts: dict[Text, Text]
    probes: NotRequired[
        Annotated[
            tuple[Annotated[tuple[Natural, Annotated[tuple[Finite, Finite], _List]], _List], ...],
            _List,
        ]
    ]


@with_config(_STRICT)
class CaseShape(TypedDict):
    """A case with its places in the spec; what its experiment may say is the experiment's.

    Records of earlier versions do not say how many values each axis has.
    """

    id: Text
    experiment: dict[Text, Any]
    params: dict[Text, Any]
    dose: float | Literal["inf"] | None
    file: Text
    places: Annotated[tuple[Annotated[tuple[Text, Text, Text], _List], ...], _List] | None
    choices: Annotated[tuple[Annotated[tuple[Text, Natural], _List], ...], _List]
    of: Natural
    sizes: NotRequired[dict[Text, Natural]]
    baseline: CaseShape | None


@with_config(_STRICT)
class StoppedShape(TypedDict):
    """How a case of a run that stops itself ended."""

    of: Natural
    alpha: Finite
    end: End
    order: Texts


@with_config(_STRICT)
class MetricShape(TypedDict):
    """What a metric is, as its task states it."""

    summary: Text
    good: Good
    kind: Sort
    bounds: Annotated[tuple[float | None, float | None], _List]
    aggregate: Text
    partial: bool


@with_config(_STRICT)
class ResultShape(TypedDict):
    """A case result; `task` is name, version, size. Records of earlier versions have no usage.

    What is said of metrics that the spec adds is there where it adds some: why samples have no
    value, hashes of what decides their values, and what models have told them. `entries` are there
    where only the task knows what its metrics are.
    """

    case: CaseShape
    task: Annotated[tuple[Text, Whole, Natural], _List]
    metric: Text
    status: CaseStatus
    baseline: Text | None
    nodeid: Text | None
    draws: Annotated[tuple[DrawShape, ...], _List]
    sample_metrics: dict[Text, dict[Text, float | JsonValue]]
    counts: dict[Text, int]
    intervention: dict[Text, Any] | None
    isolation: Text | None
    warnings: Texts
    error: Text | None
    seconds: Annotated[Finite, Field(ge=0)]
    checks: Annotated[tuple[FindingShape, ...], _List]
    artefacts: Text | None
    usage: NotRequired[UsageShape | None]
    stopped: NotRequired[StoppedShape]
    failures: NotRequired[dict[Text, dict[Text, Text]]]
    contents: NotRequired[dict[Text, Text]]
    entries: NotRequired[dict[Text, MetricShape]]
    replies: NotRequired[
        dict[
            Text,
            dict[
                Text,
                Annotated[tuple[CompletionShape | ScoredReplyShape, ...], _List],
            ],
        ]
    ]


@with_config(_STRICT)
class RecordShape(TypedDict):
    """A record of a completion store around whatever its kind holds."""

    key: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    kind: Text
    engine: Text
    at: Natural
    value: Any


@with_config(_STRICT)
class EngineShape(TypedDict):
    """Which fingerprint an engine turned out to have, and the settings behind it."""

    model: Text
    fingerprint: Text
    determinism: dict[Text, Text]


@with_config(_STRICT)
class ShardShape(TypedDict):
    """What a run says of the shard that it is."""

    index: Annotated[Natural, Field(ge=1)]
    of: Annotated[Natural, Field(ge=1)]
    cases: Texts
    selection: Text
    array: NotRequired[bool]
    gates: NotRequired[Texts]
    identities: NotRequired[Annotated[tuple[Annotated[tuple[Text, Text], _List], ...], _List]]


@with_config(_STRICT)
class ManifestShape(TypedDict):
    """`run.json`; those of earlier versions have no rules."""

    version: Literal[1]
    id: Text
    started: Text
    command: Text
    report: Text
    git: Annotated[tuple[Text, bool], _List] | None
    versions: dict[Text, Text]
    shard: ShardShape | None
    gates: Texts
    compare: Text | None
    rules: NotRequired[Texts]


@with_config(ConfigDict(strict=True, extra="allow"))
class HardwareShape(TypedDict):
    """What a process ran on, of which accelerators are joined."""

    devices: NotRequired[Text | None]
    accelerators: NotRequired[list[Text]]


@with_config(_STRICT)
class MachineShape(TypedDict):
    """`engine-PROCESS.json`: the settings of engines, and what they ran on."""

    determinism: dict[Text, Text]
    hardware: HardwareShape


COMPLETION = TypeAdapter(CompletionShape)
SCORED = TypeAdapter(ScoredShape)
RESULT = TypeAdapter(ResultShape)
FINDING = TypeAdapter(FindingShape)
USAGE = TypeAdapter(UsageShape)
VECTORS = TypeAdapter(VectorsShape)
DIFFERENCES: TypeAdapter[LayerArrays] = TypeAdapter(LayerArrays, config=_STRICT)
RECORD = TypeAdapter(RecordShape)
ENGINE = TypeAdapter(EngineShape)
MANIFEST = TypeAdapter(ManifestShape)
MACHINE = TypeAdapter(MachineShape)
