from __future__ import annotations

import optuna
import pytest

from harness.search.conclusion import _earlier_looks
from harness.search.final import comparisons
from harness.spec import Experiment, expand
from harness.statistics.paired import holm, paired
from harness.store.results import CaseResult
from tests.search.small import SPEC


def test_a_second_look_at_the_test_samples_is_told():
    study = optuna.create_study()
    assert _earlier_looks(study, 3) == []
    assert _earlier_looks(study, 3) == []
    assert _earlier_looks(study, 5) == [
        "the test samples were scored before, with trial 3: they are no longer unseen"
    ]


@pytest.fixture
def results():
    """The best dose and dose 0, each with its control; the best is right on two more samples."""
    content = {name: value for name, value in SPEC.items() if name != "search"}
    content["axes"] = {"intervention.alpha": [0, 2], "intervention.control": ["none", "random"]}
    values = {(0, "none"): 1, (0, "random"): 1, (2, "none"): 3, (2, "random"): 2}
    found = []
    for case in expand(Experiment.model_validate(content)):
        right = values[tuple(case.params.values())]
        metrics = {"exact_match": {f"s/{n}": float(n < right) for n in range(4)}}
        found.append(
            CaseResult(case, "micro_gsm8k", 1, 4, "exact_match", "complete", sample_metrics=metrics)
        )
    return found


def test_the_best_stands_against_its_neutral_dose_and_its_control(results):
    neutral, control = comparisons(results, "exact_match")
    assert (neutral.name, neutral.versus.delta, neutral.versus.better) == ("neutral dose", 0.5, 2)
    assert (control.name, control.versus.delta, control.versus.better) == ("control", 0.25, 1)
    assert control.other == "small[alpha=2-control=random]"
    best, other = results[2].sample_metrics, results[3].sample_metrics
    raw = paired(best["exact_match"], other["exact_match"])
    assert control.versus.model_copy(update={"p_holm": None}) == raw
    ps = [neutral.versus.p, control.versus.p]
    assert [neutral.versus.p_holm, control.versus.p_holm] == holm(ps)
