"""Cases of forward passes as part of a run: numbers, files, invariants, failures, resuming."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from harness.errors import SpecError
from harness.interventions.router_points import read_points
from harness.resolve.progress import Counts, Silent
from harness.runs.execute import ModelRun
from harness.runs.forecast import forecast
from harness.runs.invariants import check_invariants
from harness.runs.plan import Plan
from harness.spec import expand
from harness.spec.measure import measure_named
from harness.store.records import from_json, to_json
from tests.runs.small import Wrapped, cases, experiment, mask

USAGE = {"usage": "avg_last_agentic"}


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "forward"


def run_of(engine, planned, folder, counts=None):
    return ModelRun(engine, planned, Silent(), counts or Counts(), kept=lambda measure: folder)


def forward_cases(**fields):
    return cases(**{"measure": "forward", "intervention": None, **fields})


def test_a_case_has_one_number_per_pair_and_metric(loaded, folder):
    (case,) = forward_cases()
    counts = Counts()
    result = run_of(Wrapped(loaded), [case], folder, counts).result(case)
    assert result.status == "complete"
    assert result.metric == "delta_nll"
    assert list(result.sample_metrics) == [each.name for each in measure_named("forward").entries()]
    assert result.task_size == 3
    assert result.draws == ()
    assert result.seconds > 0
    samples = [sample.id for sample in case.task.samples]
    for values in result.sample_metrics.values():
        assert list(values) == samples
    own = result.sample_metrics
    for sample in samples:
        assert own["delta_nll"][sample] == own["nll_agentic"][sample] - own["nll_assisted"][sample]
    assert (counts.requests_total, counts.requests_done) == (3, 3)


def test_a_case_asks_for_no_completion(loaded):
    (case,) = forward_cases()
    plan = Plan(loaded.tokenizer)
    plan.add(case, None)
    assert not plan.addresses


def test_the_files_of_a_case_are_complete_and_readable(loaded, folder):
    (case,) = forward_cases(forward={"hidden": "pooled", "orderings": ["avg_all_assisted"]})
    result = run_of(Wrapped(loaded), [case], folder).result(case)
    tables = Path(result.artefacts)
    assert tables.is_relative_to(folder.absolute())
    with np.load(tables / "layers.npz") as layers:
        assert layers["js"].shape == (3, 4)
        assert layers["keys"].tolist() == [f"microhumaneval_{n}" for n in range(3)]
        np.testing.assert_allclose(
            layers["nll_agentic"][:, -1],
            list(result.sample_metrics["nll_agentic"].values()),
            atol=1e-5,
        )
    with np.load(tables / "usage_maps.npz") as maps:
        assert maps["avg_all_agentic"].shape == (4, 16)
        score = maps["avg_all_assisted"]
    points = read_points(tables / "avg_all_assisted_points.json")
    assert [score[point] for point in points] == sorted(score.ravel(), reverse=True)
    assert (tables / "last_token_agentic_points.json").exists()
    summary = json.loads((tables / "summary.json").read_text())
    assert summary["measured_samples"] == 3
    assert (Path(summary["hidden_states"]) / "microhumaneval_2.safetensors").exists()


def test_the_ordering_of_a_points_file_is_the_one_that_a_mask_measures(loaded, folder):
    """A file that is written here and named by a spec gives the mask that `usage` gives."""
    (case,) = forward_cases()
    tables = Path(run_of(Wrapped(loaded), [case], folder).result(case).artefacts)
    written = read_points(tables / "last_token_agentic_points.json")
    points = {"usage": "avg_last_agentic", "samples": 3}
    (masked,) = cases(intervention=mask(points=points, count=10))
    result = run_of(Wrapped(loaded), [masked], folder).result(masked)
    assert result.intervention.points == tuple(sorted(written[:10]))


def test_masked_passes_are_compared_with_untouched_ones(loaded, folder):
    axes = {"intervention.count": [0, 30]}
    neutral, masked = forward_cases(intervention=mask(), axes=axes)
    run = run_of(Wrapped(loaded), [neutral, masked], folder)
    results = [run.result(case) for case in (neutral.baseline, neutral, masked)]
    assert results[1].sample_metrics == results[0].sample_metrics
    assert results[2].sample_metrics != results[0].sample_metrics
    assert [result.baseline for result in results] == [None, results[0].case.id, results[0].case.id]
    checks = {(check.name, check.case): check for check in check_invariants(results)}
    assert checks["neutral_equals_baseline", neutral.id].holds
    assert ("neutral_equals_baseline", masked.id) not in checks
    for case in (neutral.baseline, neutral, masked):
        assert checks["lens_equals_model", case.id].holds


def test_a_neutral_dose_that_changes_a_number_is_found(loaded, folder):
    from dataclasses import replace

    (neutral,) = forward_cases(intervention=mask())
    run = run_of(Wrapped(loaded), [neutral], folder)
    baseline, result = run.result(neutral.baseline), run.result(neutral)
    metrics = {name: dict(values) for name, values in result.sample_metrics.items()}
    metrics["js"]["MicroHumanEval/1"] += 1e-9
    checks = check_invariants([baseline, replace(result, sample_metrics=metrics)])
    (violated,) = [check for check in checks if not check.holds]
    assert violated.name == "neutral_equals_baseline"
    assert "first departure: js of MicroHumanEval/1" in violated.detail


def test_a_lens_that_misses_the_model_is_an_invariant_that_does_not_hold(
    loaded, folder, monkeypatch
):
    engine = Wrapped(loaded)
    readout = engine._engine.readout
    monkeypatch.setattr(
        engine, "readout", lambda hidden: readout(hidden * 0.9 + 0.1), raising=False
    )
    (case,) = forward_cases()
    (check,) = run_of(engine, [case], folder).result(case).checks
    assert not check.holds
    assert "nats apart" in check.detail


def test_forward_passes_come_before_completions_of_the_same_model(loaded, folder):
    (forward,) = forward_cases(name="forward")
    (answers,) = cases(intervention=None)
    run = run_of(Wrapped(loaded), [answers, forward], folder)
    first = run.result(answers)
    alone = run_of(Wrapped(loaded), [answers], folder).result(answers)
    assert [d.completion.tokens for d in first.draws] == [d.completion.tokens for d in alone.draws]
    assert run.result(forward).status == "complete"
    assert [result.status for result in run.results()] == ["complete"] * 2


def test_the_same_measurement_is_not_made_twice_and_another_one_is(loaded, folder):
    (case,) = forward_cases()
    first = run_of(Wrapped(loaded), [case], folder).result(case)
    again = Wrapped(loaded)
    second = run_of(again, [case], folder).result(case)
    assert again.forwards == 0
    assert second.sample_metrics == first.sample_metrics
    (other,) = forward_cases(forward={"hidden": "pooled"})
    fresh = Wrapped(loaded)
    result = run_of(fresh, [other], folder).result(other)
    assert fresh.forwards == 1
    assert result.artefacts != first.artefacts


def test_pairs_that_cannot_be_measured_are_counted_and_the_case_goes_on(
    loaded, folder, monkeypatch
):
    (case,) = forward_cases()
    prompt = type(case.task).prompt

    def long_second(task, sample, style):
        if sample.id.endswith("/1") and style == "agentic":
            sample = type(sample)(sample.id, {**sample.record, "prompt": "x " * 3000})
        return prompt(task, sample, style)

    monkeypatch.setattr(type(case.task), "prompt", long_second)
    result = run_of(Wrapped(loaded), [case], folder).result(case)
    assert result.status == "complete"
    assert result.task_size == 2
    (warning,) = result.warnings
    assert warning.startswith("1 of 3 pairs could not be measured, first microhumaneval_1: ")
    assert warning.endswith("but the model takes 2048")
    summary = json.loads((Path(result.artefacts) / "summary.json").read_text())
    assert summary["problems"][0]["key"] == "microhumaneval_1"


def test_a_case_of_which_no_pair_can_be_measured_has_failed(loaded, folder):
    import copy
    from dataclasses import replace

    bare = copy.copy(loaded.tokenizer)
    bare.chat_template = None
    (case,) = forward_cases()
    result = run_of(Wrapped(replace(loaded, tokenizer=bare)), [case], folder).result(case)
    assert result.status == "failed"
    assert result.error.startswith(
        "no pair could be measured, first microhumaneval_0: prompt.style"
    )


def test_a_result_survives_its_record(loaded, folder):
    (case,) = forward_cases()
    result = run_of(Wrapped(loaded), [case], folder).result(case)
    assert from_json(json.loads(json.dumps(to_json(result)))) == result


def test_styles_are_no_axis_of_forward_passes():
    axes = {"prompt.style": ["agentic", "assisted"]}
    with pytest.raises(SpecError, match=r"axes\.prompt\.style: forward passes read both"):
        expand(experiment(measure="forward", intervention=None, axes=axes))


@pytest.mark.parametrize("axis", ["measure", "forward.hidden"])
def test_what_is_measured_is_no_axis(axis):
    with pytest.raises(SpecError, match="cannot be an axis"):
        expand(experiment(intervention=None, axes={axis: ["forward"]}))


def test_a_model_without_routers_is_measured_without_them(folder):
    from harness.models.loading import load

    (case,) = forward_cases(model="zoo/base")
    result = run_of(Wrapped(load("zoo/base", device="cpu")), [case], folder).result(case)
    assert "routing_tv" not in result.sample_metrics
    assert not (Path(result.artefacts) / "usage_maps.npz").exists()


@pytest.mark.parametrize("style", ["agentic", "assisted"])
def test_one_style_is_read_alone_and_has_the_numbers_that_it_has_in_a_pair(loaded, folder, style):
    (both,), (alone,) = forward_cases(), forward_cases(forward={"styles": style})
    engine = Wrapped(loaded)
    pair = run_of(engine, [both], folder).result(both)
    one = run_of(engine, [alone], folder).result(alone)
    assert alone.metrics == list(one.sample_metrics) == [f"nll_{style}"]
    assert one.metric == f"nll_{style}"
    found, expected = (each.sample_metrics[f"nll_{style}"] for each in (one, pair))
    assert found == pytest.approx(expected, abs=1e-5)
    assert alone.measure.readings_of(alone.experiment) == 1
    with np.load(Path(one.artefacts) / "layers.npz") as layers:
        assert layers[f"nll_{style}"].shape == (3, 4)
        assert "js" not in layers
    assert not (Path(one.artefacts) / "usage_maps.npz").exists()


@pytest.mark.parametrize(("lens", "read"), [("none", []), ([1], [1]), ([3, 1], [1, 3])])
def test_the_lens_reads_the_blocks_that_are_asked_for(loaded, folder, lens, read):
    (whole,), (some,) = forward_cases(), forward_cases(forward={"lens": lens})
    engine = Wrapped(loaded)
    every = run_of(engine, [whole], folder).result(whole)
    result = run_of(engine, [some], folder).result(some)
    assert some.metrics == list(result.sample_metrics)
    assert ("js" in some.metrics) == bool(result.checks) == (3 in read)
    for name, values in result.sample_metrics.items():
        assert values == pytest.approx(every.sample_metrics[name], abs=1e-5)
    with (
        np.load(Path(result.artefacts) / "layers.npz") as layers,
        np.load(Path(every.artefacts) / "layers.npz") as all_layers,
    ):
        assert layers["layers"].tolist() == read
        for name in ("nll_agentic", "js", "last_delta_nll"):
            np.testing.assert_allclose(layers[name], all_layers[name][:, read], atol=1e-5)


def test_figures_show_what_was_read(loaded, folder):
    for number, fields in enumerate(({"lens": "none"}, {"styles": "agentic", "lens": [0, 2]})):
        (case,) = forward_cases(name=f"read-{number}", forward=fields)
        result = run_of(Wrapped(loaded), [case], folder).result(case)
        shown = SimpleNamespace(id=case.id, model="zoo/moe", task=SimpleNamespace(name="t", size=3))
        names = [name for name, _ in case.measure.figures_of(shown, Path(result.artefacts))]
        assert names == (["layers", "usage-all", "usage-last"] if not number else ["layers"])


@pytest.mark.parametrize(
    ("forward", "problem"),
    [
        ({"lens": [4]}, r"forward\.lens: block 4 is not one of zoo/moe; use 0 to 3"),
        ({"styles": "agentic", "orderings": ["avg_all_agentic"]}, "orderings compare both styles"),
    ],
)
def test_what_cannot_be_read_is_refused_before_a_run(forward, problem):
    with pytest.raises((SpecError, ValueError), match=problem):
        forward_cases(forward=forward)


def test_a_plan_counts_what_a_run_does(loaded, folder):
    """Samples are requests of a plan as they are of a run, whatever is read of each."""
    planned = forward_cases(intervention=mask(), axes={"intervention.count": [0, 30]})
    (told,) = forecast(planned, None)
    counts = Counts()
    run = run_of(Wrapped(loaded), planned, folder, counts)
    assert told.requests == counts.requests_total == 9
    assert (told.stored, told.readings, told.loads) == (0, 18, True)
    left = []
    run._progress = SimpleNamespace(
        note=lambda text: None, update=lambda counts: left.append(counts.left)
    )
    run.result(planned[0])
    assert any(each for each in left)
