"""The end of a search: the best value made again, the test samples scored, everything written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from pydantic import JsonValue

from harness.files.atomic import write_file
from harness.metrics.entry import MetricEntry
from harness.runs.conclude import Finished, conclude, run_info
from harness.runs.environment import git_state, hardware, versions
from harness.search.artefacts import FOLDER, best_document, counts_of, write_json, write_study
from harness.search.evaluate import Evaluator, trial_case
from harness.search.final import (
    BEST_SPEC,
    TEST_IDS,
    FinalComparison,
    best_spec,
    comparisons,
    final_cases,
)
from harness.search.setup import Setup
from harness.search.study import keeps_conditions, shown_url
from harness.search.training import check_trained
from harness.store.folder import Manifest, run_id
from harness.store.results import CaseResult, InvariantResult

SPLITS_ARE_DISJOINT = "splits_are_disjoint"
BEST_IS_THE_BEST = "best_trial_is_the_best"
BEST_IS_REPRODUCED = "best_value_is_reproduced"

_LOOKS = "test samples scored with trials"


@dataclass(frozen=True)
class Searched:
    """What a search came to; without `finished` where another worker writes the report."""

    name: str
    metric: str
    trials: Mapping[str, int]
    """How many ended how: complete, pruned, fail."""
    best: FrozenTrial
    configuration: Mapping[str, JsonValue]
    samples: int
    """Validation samples behind the best value."""
    comparisons: Sequence[FinalComparison] = ()
    """Of the test samples: the best configuration minus its neutral dose, minus its control."""
    finished: Finished | None = None
    warnings: Sequence[str] = field(default=())
    """Of what was found at the end; what the spec gives cause for is said before the trials."""

    @property
    def problems(self) -> list[str]:
        """Why the command or test that runs this must fail."""
        if self.finished is None:
            return []
        failed = [f"{case} has no result" for case in self.finished.failed]
        return [*self.finished.problems, *failed]


def unfinished(ready: Setup, study: optuna.Study) -> Searched:
    """What is known where another worker scores the test samples."""
    return Searched(
        name=ready.name,
        metric=ready.metric,
        trials=counts_of(study),
        best=study.best_trial,
        configuration=ready.space.told(study.best_trial.params),
        samples=ready.splits.validation.size,
    )


def conclude_search(
    ready: Setup,
    study: optuna.Study,
    storage: BaseStorage,
    evaluator: Evaluator,
    directory: Path,
    *,
    started: datetime,
    command: str,
    unsafe_code: bool,
) -> Searched:
    """Score the test samples with the best configuration, and write the report and its files."""
    searched = unfinished(ready, study)
    best, folder = searched.best, directory / FOLDER
    experiment = ready.space.experiment(searched.configuration)
    check_trained(experiment, ready.splits.train)
    again = _made_again(evaluator, ready, best)
    write_json(folder / TEST_IDS, [sample.id for sample in ready.splits.test.samples])
    write_file(folder / BEST_SPEC, best_spec(experiment, best.number, ready.metric))
    late = _earlier_looks(study, best.number)
    results = evaluator.results(final_cases(folder / BEST_SPEC, unsafe_code=unsafe_code))
    manifest = Manifest(
        id=run_id(started),
        started=started,
        command=command,
        report=str(directory.absolute()),
        git=git_state(),
        versions={**versions(), "optuna": version("optuna")},
    )
    engine = evaluator.engine
    determinism = {
        **engine.determinism,
        f"fingerprint of {ready.space.base.model}": engine.fingerprint,
    }
    info = run_info(manifest, determinism, hardware(), datetime.now(UTC))
    findings = _findings(ready, study, best, again, determinism)
    finished = conclude(info, results, directory, findings)
    compared = comparisons(results, ready.metric)
    write_json(folder / "config.json", _config(ready, manifest))
    write_json(
        folder / "best.json",
        best_document(best, searched.configuration, _value(again, ready.metric)),
    )
    write_json(
        folder / "results.json",
        results_document(
            study,
            ready.metric,
            ready.splits.test.size,
            finished,
            compared,
            [*ready.warnings, *late],
        ),
    )
    write_study(study, storage, folder, ready.metric, ready.space.shown_first)
    return Searched(
        **{
            **{name: getattr(searched, name) for name in searched.__dataclass_fields__},
            "comparisons": compared,
            "finished": finished,
            "warnings": late,
        }
    )


def _made_again(evaluator: Evaluator, ready: Setup, best: FrozenTrial) -> CaseResult:
    """The best configuration on the validation samples, with nothing taken from the store."""
    label = f"trial={best.number}"
    experiment = ready.space.experiment(ready.space.told(best.params))
    case = trial_case(label, experiment, ready.splits.validation, ready.space.source)
    results = evaluator.results([case], anew=True)
    return next(result for result in results if result.case.id == case.id)


def _findings(
    ready: Setup,
    study: optuna.Study,
    best: FrozenTrial,
    again: CaseResult,
    determinism: Mapping[str, str],
) -> list[InvariantResult]:
    name, value = ready.name, best.value
    assert value is not None
    found = again.sample_metrics.get(ready.metric, {})
    mean = _value(again, ready.metric)
    return [
        InvariantResult(SPLITS_ARE_DISJOINT, name, holds=True, detail=ready.splits.check()),
        best_is_the_best(study, name),
        InvariantResult(
            BEST_IS_REPRODUCED,
            again.case.id,
            holds=mean is not None
            and abs(mean - value)
            <= _allowed(determinism, len(found)) + _rounding(again.kind(ready.metric), value),
            detail=reproduction(value, again.error if mean is None else format(mean, ".6g")),
        ),
    ]


def best_is_the_best(study: optuna.Study, name: str) -> InvariantResult:
    """No other trial that keeps the conditions has a better value than the one that is chosen."""
    best = study.best_trial
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    kept = [trial for trial in complete if keeps_conditions(trial)]
    values = [trial.value for trial in kept if trial.value is not None]
    most = study.direction == StudyDirection.MAXIMIZE
    extreme = max(values) if most else min(values)
    return InvariantResult(
        BEST_IS_THE_BEST,
        f"{name}[trial={best.number}]",
        holds=best.value == extreme,
        detail=f"{best.value:g}; the {'most' if most else 'least'} of {len(values)} trials is "
        f"{extreme:g}",
    )


def reproduction(value: float, again: str | None) -> str:
    """A value, and what came of it when it was made again."""
    return f"{value:.6g}; made again without the store: {again}"


def _allowed(determinism: Mapping[str, str], samples: int) -> float:
    """How far a value may move when it is made again in another batch.

    Chunks are other batches than the whole. In single precision and in fixed shapes no token was
    ever seen to move; half types round logits to two or three digits, and near ties may turn.
    """
    exact = determinism.get("policy") == "strict" or determinism.get("dtype") == "float32"
    return 1e-12 if exact else 2 / max(samples, 1) ** 0.5


def _rounding(metric: MetricEntry, value: float) -> float:
    """What is made of log-probabilities moves in its last digits from batch to batch."""
    return 1e-4 * abs(value) if metric.kind in {"loss", "ratio"} else 0.0


def _value(result: CaseResult, metric: str) -> float | None:
    """The number of a metric over all samples; None where no sample has a value."""
    values = result.sample_metrics.get(metric, {})
    return result.kind(metric).of(values.values()) if values else None


def _earlier_looks(study: optuna.Study, trial: int) -> list[str]:
    """Note that the test samples are looked at; what was seen of them before is a warning."""
    before: list[int] = study.user_attrs.get(_LOOKS, [])
    study.set_user_attr(_LOOKS, [*before, trial])
    others = sorted({each for each in before if each != trial})
    if not others:
        return []
    numbers = ", ".join(map(str, others))
    return [f"the test samples were scored before, with trial {numbers}: they are no longer unseen"]


def _config(ready: Setup, manifest: Manifest) -> dict[str, Any]:
    settings = ready.settings.model_dump(mode="json")
    return {
        "name": ready.name,
        "experiment": ready.space.base.model_dump(mode="json"),
        "search": {**settings, "storage": shown_url(ready.storage), "metric": ready.metric},
        "seeds": {"search": ready.settings.seed, "sampling": ready.space.base.seed},
        "splits": {
            "train": [pair.content_hash for pair in ready.splits.train],
            "pairs": [each.facts for each in ready.pair_sets],
            "validation": [sample.id for sample in ready.splits.validation.samples],
            "test": [sample.id for sample in ready.splits.test.samples],
            "left_out": ready.splits.left_out,
            "contents": {name: sorted(each) for name, each in ready.splits.contents.items()},
        },
        "git": None
        if manifest.git is None
        else {"commit": manifest.git[0], "dirty": manifest.git[1]},
        "versions": dict(manifest.versions),
        "command": manifest.command,
    }


def results_document(
    study: optuna.Study,
    metric: str,
    test_samples: int,
    finished: Finished,
    compared: Sequence[FinalComparison],
    warnings: Sequence[str],
) -> dict[str, Any]:
    """What came of the test samples, and of how many trials."""
    return {
        "trials": counts_of(study),
        "metric": metric,
        "test_samples": test_samples,
        "cases": {
            case.id: {
                "status": case.status,
                "params": case.params,
                "metric": _dumped(case.metrics.get(metric)),
                "versus_baseline": _dumped(case.versus_baseline.get(metric)),
            }
            for case in finished.report.cases
        },
        "best_minus": {
            each.name: {"case": each.other, **each.versus.model_dump(mode="json")}
            for each in compared
        },
        "invariants": [asdict(each) for each in finished.invariants],
        "warnings": list(warnings),
    }


def _dumped(model: Any) -> Any:
    return None if model is None else model.model_dump(mode="json")
