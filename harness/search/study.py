"""The study in its storage: opened by any number of workers, for one search and no other.

The default is a SQLite file; any URL that Optuna's RDBStorage takes will do. What a study's values
depend on is written into it when it is made, and compared whenever it is opened: trials of another
model, task, space or split are refused by name.
"""

from __future__ import annotations

import inspect
import json
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
from optuna.exceptions import ExperimentalWarning, OptunaError, StorageInternalError
from optuna.storages import RDBStorage
from pydantic import JsonValue
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, IntegrityError, ProgrammingError, SQLAlchemyError

from harness.errors import FieldError
from harness.spec.search import SearchSettings
from harness.spec.suggestion import suggestion

_IDENTITY = "titrate identity"
_SAMPLERS = {
    "tpe": "TPESampler",
    "random": "RandomSampler",
    "qmc": "QMCSampler",
    "gp": "GPSampler",
    "cmaes": "CmaEsSampler",
    "nsgaii": "NSGAIISampler",
}
_PRUNERS = {"median": "MedianPruner", "wilcoxon": "WilcoxonPruner", "none": "NopPruner"}
#: These compare trials instance by instance, and are told every sample's value.
_PAIRED = {"WilcoxonPruner"}
# One low-discrepancy sequence for all trials: its members must not be scrambled differently.
_SEQUENCES = {"QMCSampler"}
# These stop the loop of Study.optimize, which is not used here.
_LOOP_ONLY = {"BruteForceSampler", "GridSampler"}
# Seconds for which a process waits while another one writes to the same SQLite file.
_PATIENCE = 60
# How often, and after how many seconds, tables are looked for that another process is making.
_TRIES, _PAUSE = 5, 0.5


@contextmanager
def quiet() -> Iterator[None]:
    """Silence Optuna's lines on single trials and its warnings of experimental features."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        try:
            yield
        finally:
            optuna.logging.set_verbosity(before)


def default_storage(root: Path, name: str) -> str:
    """The SQLite file of a study below the folder that a search is started from."""
    return f"sqlite:///{root.absolute() / '.titrate' / 'search' / f'{name}.db'}"


def shown_url(url: str) -> str:
    """A storage URL without its password."""
    try:
        return make_url(url).render_as_string(hide_password=True)
    except SQLAlchemyError:
        return url


def open_storage(url: str) -> RDBStorage:
    """Connect to a storage, whose tables are made if need be.

    Raises:
        FieldError: it cannot be opened.
    """
    try:
        return _connected(url)
    except (SQLAlchemyError, OptunaError, OSError, ImportError, RuntimeError) as error:
        said = str(getattr(error, "orig", None) or error).strip().splitlines()
        raise FieldError(
            "search.storage",
            f"{shown_url(url)} cannot be opened: {said[0] if said else type(error).__name__}; "
            "give an Optuna storage URL such as sqlite:////tmp/study.db or "
            "postgresql+psycopg://user@host/database",
        ) from error


def _connected(url: str) -> RDBStorage:
    address = make_url(url)
    arguments: dict[str, Any] = {}
    if address.get_backend_name() == "sqlite":
        arguments = {"timeout": _PATIENCE}
        if address.database:
            Path(address.database).parent.mkdir(parents=True, exist_ok=True)
    for left in reversed(range(_TRIES)):
        try:
            return RDBStorage(url, engine_kwargs={"connect_args": arguments})
        except (DBAPIError, StorageInternalError) as error:
            # Two workers that meet an empty database make its tables, and one of them is late.
            late = isinstance(error, IntegrityError | ProgrammingError)
            if not left or not (late or "already exists" in str(error)):
                raise
            time.sleep(_PAUSE)
    raise AssertionError("the last try returns or raises")


def open_study(
    storage: RDBStorage,
    name: str,
    settings: SearchSettings,
    identity: Mapping[str, JsonValue],
    url: str,
) -> optuna.Study:
    """The study of this name, made if it is not there; `identity` is what its values depend on.

    Raises:
        FieldError: a study of this name is there, and it is another search's.
    """
    study = optuna.create_study(
        storage=storage,
        study_name=name,
        direction=settings.direction,
        pruner=pruner_of(settings),
        load_if_exists=True,
    )
    plain: dict[str, JsonValue] = json.loads(json.dumps(identity))
    known = study.user_attrs.get(_IDENTITY)
    if known is None:
        study.set_user_attr(_IDENTITY, plain)
        return study
    for field, there, here in _differences("", known, plain):
        raise FieldError(
            "search.storage",
            f"the study {name!r} in {shown_url(url)} is of another experiment: its {field} is "
            f"{_short(there)}, here it is {_short(here)}; "
            "give the spec another name, or another storage",
        )
    return study


def keeps_conditions(trial: optuna.trial.FrozenTrial) -> bool:
    """Whether a complete trial keeps what the search is subject to."""
    return all(beyond <= 0 for beyond in trial.constraints.values())


def _differences(
    field: str, one: JsonValue, other: JsonValue
) -> Iterator[tuple[str, JsonValue, JsonValue]]:
    """Every dotted field in which two documents differ, with both its values."""
    if isinstance(one, dict) and isinstance(other, dict):
        for name in dict.fromkeys([*one, *other]):
            inner = f"{field}.{name}" if field else name
            yield from _differences(inner, one.get(name), other.get(name))
    elif one != other:
        yield field, one, other


def sampler_for(settings: SearchSettings, number: int) -> optuna.samplers.BaseSampler:
    """The sampler of one trial, whose randomness depends on the seed and the trial's number alone.

    So workers never draw the same, and a study that was interrupted goes on as if it had not been.
    """
    name, make = _named("sampler", settings.sampler, _SAMPLERS, optuna.samplers)
    options = dict(settings.sampler_options)
    if name == "TPESampler":
        options.setdefault("constant_liar", True)  # trials of a batch must know of each other
    seed = settings.seed if name in _SEQUENCES else hash_seed(settings.seed, number)
    sampler: optuna.samplers.BaseSampler = _made("sampler", make, {**options, "seed": seed})
    return sampler


def pruner_of(settings: SearchSettings) -> optuna.pruners.BasePruner:
    """The pruner; raises `FieldError` for one that could never prune anything."""
    name, make = _named("pruner", settings.pruner, _PRUNERS, optuna.pruners)
    steps = -(-settings.splits.validation // settings.chunk)
    warmup = settings.pruner_options.get("n_warmup_steps", 0)
    if name != "NopPruner" and isinstance(warmup, int) and warmup >= steps - 1:
        waits = f" and the first {warmup} are for warming up" if warmup else ""
        raise FieldError(
            "search.pruner",
            f"{settings.pruner} can prune nothing: {settings.splits.validation} validation samples "
            f"in chunks of {settings.chunk} have {steps - 1} places between chunks{waits}; use "
            "smaller chunks, or pruner: none",
        )
    pruner: optuna.pruners.BasePruner = _made("pruner", make, dict(settings.pruner_options))
    return pruner


def pairs_samples(settings: SearchSettings) -> bool:
    """Whether the pruner is told the values of single samples, by which trials are paired."""
    return pairs_trials(settings.pruner)


def pairs_trials(pruner: str) -> bool:
    """The same of a pruner by its name."""
    return _PRUNERS.get(pruner, pruner) in _PAIRED


def hash_seed(seed: int, number: int) -> int:
    """A seed of 32 bits for one trial."""
    import numpy as np

    return int(np.random.SeedSequence([seed, number]).generate_state(1)[0])


def _named(what: str, given: str, short: Mapping[str, str], module: Any) -> tuple[str, Any]:
    """The name and the class that a spec names, by its short name or Optuna's."""
    name = short.get(given, given)
    suffix = what.capitalize()
    known = [
        each for each in module.__all__ if each.endswith(suffix) and not each.startswith("Base")
    ]
    usable = [each for each in known if _usable(what, getattr(module, each))]
    if name not in usable:
        names: Iterable[str] = [*short, *usable]
        raise FieldError(
            f"search.{what}",
            f"{given!r} is no {what};{suggestion(given, names)} use {', '.join(short)} "
            f"or another class of optuna.{what}s",
        )
    return name, getattr(module, name)


def _usable(what: str, kind: Any) -> bool:
    """Whether a class can be made from plain options, and asked and told: others need Python."""
    parameters = inspect.signature(kind).parameters.values()
    seeded = what == "pruner" or any(each.name == "seed" for each in parameters)
    return seeded and inspect.isclass(kind) and kind.__name__ not in _LOOP_ONLY


def _made(what: str, kind: Any, options: Mapping[str, Any]) -> Any:
    try:
        return kind(**options)
    except (TypeError, ValueError, ImportError) as error:
        raise FieldError(
            f"search.{what}_options", f"{kind.__name__} does not take them: {error}"
        ) from error


def _short(value: JsonValue) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
