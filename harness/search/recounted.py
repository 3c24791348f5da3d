"""What the study of a search comes to: its table, its best trial, and what is said of them.

The answers that trials were scored by are not beside a report: a trial's value is what the study
says, and the mean that was last reported of it on the way.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import optuna
import yaml
from optuna.exceptions import OptunaError
from optuna.trial import TrialState
from sqlalchemy.exc import SQLAlchemyError

from harness.errors import BundleError, TitrateError
from harness.measure.recounted import Apart, unequal
from harness.runs.conclude import Finished
from harness.search.artefacts import best_document, trials_frame
from harness.search.conclusion import (
    BEST_IS_REPRODUCED,
    best_is_the_best,
    reproduction,
    results_document,
)
from harness.search.final import BEST_SPEC, TEST_IDS, best_spec, comparisons
from harness.search.space import Space
from harness.search.study import keeps_conditions, open_storage, pairs_trials, quiet
from harness.spec import Experiment, SpecSource
from harness.store.results import CaseResult

_STUDY, _TRIALS, _BEST = "study.db", "trials.csv", "best.json"
_CONFIG, _RESULTS = "config.json", "results.json"


def recounted(
    folder: Path, finished: Finished, results: Sequence[CaseResult]
) -> tuple[dict[str, str], list[Apart]]:
    """What the files of a search should say, by their names, and what else does not fit.

    Args:
        folder: The files beside a report; the study in it is opened, which may change its bytes.
        finished: The report's cases, concluded anew.
        results: The results that it is of.

    Raises:
        BundleError: the study, or what was searched, cannot be read.
    """
    study = _study(folder / _STUDY)
    config, best, stored = (_document(folder / name) for name in (_CONFIG, _BEST, _RESULTS))
    try:
        metric = str(config["search"]["metric"])
        experiment = Experiment.model_validate(config["experiment"])
        space = Space(
            experiment,
            SpecSource(),
            study.best_trial.distributions,
            config["search"]["splits"]["train"],
        )
        configuration = space.told(study.best_trial.params)
        test = config["splits"]["test"]
        made = {
            _TRIALS: trials_frame(study).to_csv(index=False, lineterminator="\n"),
            _BEST: json.dumps(best_document(study.best_trial, configuration, best["made_again"])),
            TEST_IDS: json.dumps(test),
            _RESULTS: json.dumps(
                results_document(
                    study,
                    metric,
                    len(test),
                    finished,
                    comparisons(results, metric),
                    stored["warnings"],
                )
            ),
        }
        apart = [
            *_means(study, str(config["search"]["pruner"])),
            *_findings(study, finished, experiment.name, best["made_again"]),
            *_disjoint(config["splits"]["contents"]),
            *_asked(results, test),
            *_configured(folder / BEST_SPEC, study, space, configuration, metric),
        ]
    except (KeyError, TypeError, ValueError, TitrateError) as error:
        raise BundleError(f"{folder}: is none of a search: {error!r}") from error
    return made, apart


def _study(path: Path) -> optuna.Study:
    if not path.is_file():
        raise BundleError(f"{path}: is missing")
    try:
        with quiet():
            storage = open_storage(f"sqlite:///{path.absolute()}")
            (name,) = optuna.get_all_study_names(storage)
            study = optuna.load_study(study_name=name, storage=storage)
            study.best_trial  # noqa: B018 - one without any has no best
    except (TitrateError, OptunaError, SQLAlchemyError, ValueError, KeyError) as error:
        raise BundleError(f"{path}: is no study of a search: {error}") from error
    return study


def _document(path: Path) -> Any:
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise BundleError(f"{path}: is no document of a search: {error}") from error


def _means(study: optuna.Study, pruner: str) -> Iterator[Apart]:
    """A complete trial's value is what it reported last; where single samples are, it is not."""
    if pairs_trials(pruner):
        return
    for trial in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
        told = trial.intermediate_values
        if told and keeps_conditions(trial):
            yield from unequal(f"trial {trial.number}: value", trial.value, told[max(told)])


def _findings(
    study: optuna.Study, finished: Finished, name: str, again: float | None
) -> Iterator[Apart]:
    """What the report says of the best trial."""
    told = {each.name: each for each in finished.invariants}
    found = best_is_the_best(study, name)
    said = told.get(found.name)
    yield from unequal(found.name, None if said is None else asdict(said), asdict(found))
    value = study.best_trial.value
    said = told.get(BEST_IS_REPRODUCED)
    if value is not None and again is not None and said is not None:
        yield from unequal(said.name, said.detail, reproduction(value, format(again, ".6g")))


def _disjoint(contents: Mapping[str, Sequence[str]]) -> Iterator[Apart]:
    names = list(contents)
    for place, one in enumerate(names):
        for other in names[place + 1 :]:
            shared = len({*contents[one]} & {*contents[other]})
            yield from unequal(f"texts that are in both {one} and {other}", 0, shared)


def _asked(results: Sequence[CaseResult], test: Sequence[str]) -> Iterator[Apart]:
    for result in results:
        if result.status == "complete" and result.draws:
            asked = list(dict.fromkeys(draw.sample for draw in result.draws))
            yield from unequal(f"{result.case.id}: samples", asked, list(test))


def _configured(
    path: Path,
    study: optuna.Study,
    space: Space,
    configuration: Mapping[str, Any],
    metric: str,
) -> Iterator[Apart]:
    """The spec of the test samples is the best trial's; paths are written as where it was."""
    if any(isinstance(value, str) and "/" in value for value in configuration.values()):
        return
    said = yaml.safe_load(path.read_text("utf-8"))
    experiment = space.experiment(configuration)
    found = yaml.safe_load(best_spec(experiment, study.best_trial.number, metric))
    for name in {**said, **found}:
        yield from unequal(f"{path.name}: {name}", said.get(name), found.get(name))
