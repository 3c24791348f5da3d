"""The section `run` of report.json: where, when and with what a run was made, and what it took."""

from __future__ import annotations

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    JsonValue,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveInt,
)


class ReportPart(BaseModel):
    """Base of every part of a report: frozen, no unknown keys, no NaN, no infinity."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        use_attribute_docstrings=True,
        validate_by_name=True,
        serialize_by_alias=True,
    )


class Git(ReportPart):
    """The state of the working tree that the run started from."""

    commit: str
    dirty: bool
    """Whether files differed from the commit, or were not in it: a new spec, for example."""


class ShardInfo(ReportPart):
    """Which share of a run this is, and of what: enough to join it with the others."""

    index: PositiveInt
    """From 1."""
    of: PositiveInt
    cases: tuple[str, ...]
    """Ids of the cases of all shards, in order."""
    selection: str
    """Hash of what these cases are: only shards of the same specs have the same."""
    identities: tuple[tuple[str, str], ...] = ()
    """Name and case of the invariants that all shards together check on whole models, in order."""
    array: bool = False
    """Whether it is the case of an array's task; that one is numbered from 0."""
    gates: tuple[str, ...] = ()
    """Gates of the command line: no shard judges them, the merged report does."""


class Cost(ReportPart):
    """What a run took."""

    wall_seconds: NonNegativeFloat
    """From the start to the report; of merged shards the sum."""
    engine_seconds: NonNegativeFloat
    """In which an engine was waited for: without loading, measuring, scoring, and the store."""
    tokens: NonNegativeInt
    """Generated in this run."""
    tokens_per_second: NonNegativeFloat | None = None
    """`tokens / engine_seconds`; null where none were generated."""
    requests: NonNegativeInt
    """Distinct ones, stored ones included."""
    stored: NonNegativeInt
    """Of these requests, those that were found in the completion store."""
    model_loads: NonNegativeInt
    peak_memory_gib: dict[str, NonNegativeFloat] = {}
    """The most that was held at once, by `process` (the one that wrote this) and by accelerator; of
    merged shards the largest."""


class RunInfo(ReportPart):
    """Where, when and with what a run was made."""

    id: str
    started: AwareDatetime
    finished: AwareDatetime | None = None
    """Null while the run goes on, and in the last report of a run that was killed."""
    command: str
    """The command line as typed, shell-quoted."""
    git: Git | None = None
    """Null outside of a git repository."""
    versions: dict[str, str] = {}
    """Version by distribution: torch, transformers, pytest-titrate, python."""
    hardware: dict[str, JsonValue] = {}
    """What the machine is, such as its processor, accelerators and memory."""
    determinism: dict[str, str] = {}
    """Settings that may change the numbers, such as dtype and attention kernel."""
    shard: ShardInfo | None = None
    """Null for a whole run, and for one that was merged from all of its shards."""
    sandbox: str | None = None
    """What stood around model-written code, such as `namespaces, Landlock 7, seccomp`; `process`
    leads where it ran with the user's own rights. Null where no code was run."""
    cost: Cost | None = None
    """Null in a report that was made from records alone, and in earlier ones."""
