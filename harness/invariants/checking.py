"""From models to checks: every identity of every family, on every model, under every engine.

Without a model of one's own these are the zoo and tiny random models of every architecture whose
routers are known. Nothing is loaded before a check is made.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from harness import registry
from harness.engines import partly, runs
from harness.errors import TitrateError
from harness.invariants.bench import SLOTS, SLOTS_OF_FIXED_SHAPES, Bench, Restartable
from harness.invariants.decoding import cached_equals_uncached
from harness.invariants.families import families
from harness.invariants.family import Family, Identity
from harness.invariants.finding import CheckName
from harness.invariants.tiny_models import CONFIGS, POSITIONS, tiny_model
from harness.models import zoo
from harness.models.written import WrittenConfig
from harness.spec import EngineSettings
from harness.spec.engine_kind import EngineKind, engine_named
from harness.store.results import InvariantResult

if TYPE_CHECKING:
    from harness.invariants.started import StartedEngine
    from harness.models.loading import LoadedModel

_TINY = "tiny/"

#: What an engine that can be `fast` or `strict` is checked under, by the name in a check's id.
_POLICIES: dict[str, dict[str, Any]] = {
    "fast": {"determinism": "fast", "slots": SLOTS},
    "strict": {"determinism": "strict", "slots": SLOTS_OF_FIXED_SHAPES},
}
_FLOAT32 = 4  # bytes
_VARIED = {"determinism", "slots", "columns", "drafts"}


@dataclass(frozen=True)
class IdentityCheck:
    """One identity of a family, on a model, under an engine; what a bench gets as `check`.

    One with an `excuse` stands for a family that does not apply to its model.
    """

    model: str
    engine: str
    settings: EngineSettings
    family: Family
    identity: Identity | None
    excuse: str | None = None

    @property
    def id(self) -> str:
        """`zoo/moe-fast-router_mask.points_are_a_set`."""
        return f"{self.model}-{self.engine}-{self.name}"

    @property
    def name(self) -> str:
        """The identity as reports name it, its family in front."""
        if self.identity is None:
            return self.family.name
        return f"{self.family.name}.{self.identity.__name__}"

    @property
    def case(self) -> str:
        """Where it is checked, as reports name it."""
        policy = "" if self.engine == self.settings.name else f" {self.engine}"
        return f"{self.model}, {self.settings.name}{policy}"

    @property
    def named(self) -> CheckName:
        """What it is to shards and reports."""
        return CheckName(self.name, self.case)


def checks(model: str | None = None, settings: EngineSettings | None = None) -> list[IdentityCheck]:
    """All checks, those of a model and an engine side by side; on one's own model if one is named.

    The engine is the one that the settings name; slots and determinism are what the checks vary.
    Raises `ModelError` for a model that cannot be found, `FieldError` for an engine that is not
    there.
    """
    models = [model] if model is not None else [*_shipped()]
    settings = settings or EngineSettings()
    given = settings.model_dump(exclude=_VARIED)
    kind = engine_named(settings.name)
    watched = kind.in_process
    if not watched:  # an engine in this process is here, and its device is found when it is used
        kind.check_machine(settings)
    found = []
    for reference in models:
        config = _config(reference)
        for engine, varied in policies(kind).items():
            under = EngineSettings.model_validate({**given, **varied})
            for family in families():
                excuse = family.excuse(config) or _out_of_scope(reference, config, family, settings)
                bare = IdentityCheck(reference, engine, under, family, None, excuse)
                if excuse is not None:
                    found.append(bare)
                    continue
                for identity in family.identities:
                    watches = not watched and family.watches(identity)
                    why = _OUT_OF_REACH if watches else _untrue(identity, config)
                    found.append(replace(bare, identity=identity, excuse=why))
    return found


def policies(kind: EngineKind) -> dict[str, dict[str, Any]]:
    """Every setting that may change an engine's numbers, by the name in a check's id."""
    named = _POLICIES if "determinism" in kind.settings else {kind.name: {"slots": SLOTS}}
    return {
        name: {"name": kind.name} | {k: v for k, v in each.items() if k in kind.settings}
        for name, each in named.items()
    }


def _untrue(identity: Identity, config: Any) -> str | None:
    """Why an identity is not true of a model itself, if it is not."""
    rotary = getattr(config.get_text_config(), "rope_parameters", None) or {}
    if identity is cached_equals_uncached and rotary.get("rope_type") == "dynamic":
        return "dynamic NTK turns what is cached by the lengths that the sequence had before"
    return None


_OUT_OF_REACH = "identities that watch a model's modules are checked with engine.name: transformers"


def _out_of_scope(
    reference: str, config: Any, family: Family, settings: EngineSettings
) -> str | None:
    """Why an engine cannot run a family, or one of our own tiny models, if it cannot."""
    if reference.removeprefix(_TINY) in POSITIONS and family.name != "engine":
        return "how a model places its tokens is checked by the engine's own identities"
    if family.name in registry.interventions:
        if not runs(settings.name, family.name):
            return f"{settings.name} does not run interventions of kind {family.name}"
        if partly(settings.name, family.name):
            return f"{settings.name} runs some interventions of kind {family.name} alone"
    return engine_named(settings.name).unfit_for(config) or None


def _shipped() -> Iterator[str]:
    yield from (f"zoo/{name}" for name in zoo.names())
    yield from (f"{_TINY}{name}" for name in (*CONFIGS, *POSITIONS))


def _config(reference: str) -> Any:
    """A model's configuration; of those that ship with us as it is written, without torch."""
    name = reference.removeprefix(_TINY)
    shipped = {**CONFIGS, **POSITIONS}
    if reference.startswith(_TINY) and name in shipped:
        return WrittenConfig(shipped[name])
    if reference.startswith("zoo/"):
        return WrittenConfig(zoo.written_config(reference.removeprefix("zoo/")))
    from harness.models.loading import load_config

    return load_config(reference)


class Checker:
    """Makes checks; keeps one model in memory, and what was computed on it."""

    def __init__(self) -> None:
        self._loaded: LoadedModel | None = None
        self._of: tuple[str, str] | None = None
        self._memories: dict[str, dict[Any, Any]] = {}
        #: Models that were loaded, one of them again for each determinism policy.
        self.loads = 0
        self._started: StartedEngine | TitrateError | None = None
        #: Fingerprint of every model and engine that was checked, by its name in a report.
        self.determinism: dict[str, str] = {}

    def check(self, check: IdentityCheck) -> InvariantResult:
        """Check an identity. Whatever it raises makes it undecided, which is a violation."""
        assert check.identity is not None
        bench = self._bench(check)
        try:
            finding = check.identity(bench)
        except Exception as error:
            detail = f"undecided: {type(error).__name__}: {_first_line(error)}"
            return InvariantResult(check.name, check.case, holds=False, detail=detail)
        detail = finding.detail
        if not finding.holds and self._is_rounded(check):
            detail += self._under_strict(check)
        return InvariantResult(check.name, check.case, finding.holds, detail, finding.departure)

    def _is_rounded(self, check: IdentityCheck) -> bool:
        """Whether a violation may be no more than half types in batches of other shapes."""
        assert self._loaded is not None
        return check.engine == "fast" and self._loaded.model.dtype.itemsize < _FLOAT32

    @staticmethod
    def _under_strict(check: IdentityCheck) -> str:
        """Whether the identity holds where every pass has the same shape, found out by checking."""
        settings = check.settings.model_copy(update=_POLICIES["strict"])
        other = Checker()
        try:
            held = other.check(replace(check, engine="strict", settings=settings)).holds
        finally:
            other.close()
        return f"; it {'holds' if held else 'is violated too'} with engine.determinism: strict"

    def close(self) -> None:
        """Give the model's memory back."""
        self._loaded = self._of = None
        self._memories.clear()
        if self._started is not None and not isinstance(self._started, TitrateError):
            self._started.close()
        self._started = None

    def _bench(self, check: IdentityCheck) -> Bench:
        loaded = self._load(check)
        memory = self._memories.setdefault(check.engine, {})
        doses = check.family.doses(loaded.model.config)
        engine = self._start(loaded, check.settings)
        bench = Bench(loaded, check.settings, doses, memory, engine)
        name = f"fingerprint of {check.case}"
        if name not in self.determinism:
            self.determinism[name] = bench.engine().fingerprint
        return bench

    def _start(self, loaded: LoadedModel, settings: EngineSettings) -> Restartable | None:
        """The engine of its own processes that the settings ask for, started once for a model.

        What was wrong with one that did not start is raised again for every identity.
        """
        if engine_named(settings.name).in_process:
            return None
        if self._started is None:
            from harness.invariants.started import StartedEngine

            try:
                self._started = StartedEngine(loaded, settings)
            except TitrateError as error:
                self._started = error
        if isinstance(self._started, TitrateError):
            raise self._started
        return self._started.engine

    def _load(self, check: IdentityCheck) -> LoadedModel:
        from harness.models.loading import load

        settings = check.settings
        of = (check.model, settings.model_dump_json(exclude={"slots"}))
        # Loaded again for another policy: an engine with fixed shapes switches the model's kernels.
        if self._loaded is None or self._of != of:
            self.close()
            self._loaded = (
                tiny_model(check.model.removeprefix(_TINY))
                if check.model.startswith(_TINY)
                else load(
                    check.model,
                    dtype=settings.dtype,
                    device=settings.device,
                    device_map=settings.device_map,
                )
            )
            self._of = of
            self.loads += 1
        return self._loaded


def check_all(selected: Sequence[IdentityCheck]) -> list[InvariantResult]:
    """Make checks one after the other; those with an excuse are left out.

    Raises `TitrateError` for a model that cannot be loaded.
    """
    checker = Checker()
    try:
        return [checker.check(check) for check in selected if check.excuse is None]
    finally:
        checker.close()


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), "")
