"""What a search leaves beside its report: in the folder `search`, one file for each thing.

config.json    what was searched, on which samples, with which seeds, versions and commit
trials.csv     every trial: state, configuration, value, intermediate values, worker, error
study.db       the study, in a SQLite file of its own
best.yaml      the best configuration as a spec, run on the samples of test.json
best.json      the best trial, and its value when it was made again
results.json   what came of the test samples: intervals, and differences paired by sample
*.png          history, configurations, importance, and where the best lie
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
from optuna.storages import BaseStorage
from optuna.trial import TrialState
from pydantic import JsonValue

from harness.files.atomic import write_file
from harness.search.leases import WORKER
from harness.search.study import open_storage
from harness.search.study_plots import plot_files
from harness.search.trials import ERROR

FOLDER = "search"


def write_json(path: Path, content: Mapping[str, Any] | Sequence[str]) -> None:
    """A document that another program reads."""
    write_file(path, json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def write_study(
    study: optuna.Study, storage: BaseStorage, folder: Path, metric: str, first: Sequence[str] = ()
) -> None:
    """The trials as a table, the study itself, and its plots, over the `first` of its fields."""
    write_file(folder / "trials.csv", trials_frame(study).to_csv(index=False, lineterminator="\n"))
    copy = folder / "study.db"
    copy.unlink(missing_ok=True)
    target = open_storage(f"sqlite:///{copy.absolute()}")
    optuna.copy_study(from_study_name=study.study_name, from_storage=storage, to_storage=target)
    target.engine.dispose()
    for name, image in plot_files(study, metric, first):
        write_file(folder / name, image)


def trials_frame(study: optuna.Study) -> pd.DataFrame:
    """One row per trial: its end, its configuration, and what it reported on the way."""
    rows = []
    for trial in study.get_trials(deepcopy=False):
        if trial.state == TrialState.WAITING:
            continue  # one too many, which waits until more are asked for
        done = trial.duration
        rows.append(
            {
                "number": trial.number,
                "state": trial.state.name,
                "value": trial.value if trial.state == TrialState.COMPLETE else None,
                **{f"params.{name}": value for name, value in trial.params.items()},
                **{f"beyond.{bound}": by for bound, by in trial.constraints.items()},
                **{
                    f"intermediate.{step}": value
                    for step, value in sorted(trial.intermediate_values.items())
                },
                "seconds": None if done is None else round(done.total_seconds(), 3),
                "worker": trial.user_attrs.get(WORKER),
                "error": trial.user_attrs.get(ERROR),
            }
        )
    names = list(dict.fromkeys(name for row in rows for name in row))
    last = ["seconds", "worker", "error"]
    ordered = [name for name in names if name not in last]
    steps = sorted((name for name in ordered if name.startswith("intermediate.")), key=_step)
    ordered = [name for name in ordered if name not in steps] + steps
    return pd.DataFrame(rows, columns=[*ordered, *last])


def _step(name: str) -> int:
    return int(name.rpartition(".")[2])


def counts_of(study: optuna.Study) -> dict[str, int]:
    """How many trials ended how."""
    states = [trial.state for trial in study.get_trials(deepcopy=False)]
    return {
        state.name.lower(): states.count(state)
        for state in (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
    }


def best_document(
    trial: optuna.trial.FrozenTrial, configuration: Mapping[str, JsonValue], again: float | None
) -> dict[str, Any]:
    """The best trial, and its value when its samples were made anew."""
    return {
        "trial": trial.number,
        "value": trial.value,
        "made_again": again,
        "configuration": dict(configuration),
    }
