"""Steering from a spec to its numbers: vectors from pairs and files, doses, control, refusals."""

from __future__ import annotations

import html
import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from sklearn.linear_model import LogisticRegression

import harness
from harness.engines.transformers.engine import TransformersEngine
from harness.errors import SpecError
from harness.interventions.array import Array
from harness.interventions.steering import Steering, Term
from harness.interventions.vector_file import FORMAT, SteeringVectors, write_vectors
from harness.measure.steering_vectors import pair_states
from harness.models.loading import load as load_model
from harness.report.tables.terminal import table
from harness.resolve.contrast_pairs import pairs_for
from harness.resolve.progress import Silent
from harness.resolve.steering import VectorSource
from harness.runs.checks import planned
from harness.runs.session import opened_session
from harness.spec import expand, load
from harness.store.completions import CompletionStore

SPEC = """\
name: steer
model: zoo/moe
task: {name: micro_humaneval, limit: 3}
intervention:
  kind: steering
  vector: {pairs: styles, samples: 4}
  layer: 2
  alpha: 0
sampling: {max_new_tokens: 24}
axes:
  intervention.alpha: [0, 1]
dose: intervention.alpha
gates: [neutral_equals_baseline]
"""


@pytest.fixture
def spec(written):
    return partial(written, "steer", SPEC)


def cases(file):
    return [planned(case) for case in expand(*load(file))]


def steering(engine, case, store=None) -> Steering:
    source = VectorSource(engine, Silent(), store)
    return source.steering(case.experiment, case.experiment.intervention)


def test_a_run_has_the_vector_and_its_control_beside_it(spec):
    report = harness.run(spec(), directory="out").report
    ids = [case.id for case in report.cases]
    assert ids == [
        "steer[baseline]",
        "steer[alpha=0-control=none]",
        "steer[alpha=0-control=random]",
        "steer[alpha=1-control=none]",
        "steer[alpha=1-control=random]",
    ]
    vector, control = (report.cases[index].intervention["terms"][0] for index in (3, 4))
    assert report.cases[1].intervention == {"kind": "steering", "terms": []}
    assert vector["vector"] != control["vector"]
    assert vector["alpha"] == control["alpha"]
    lengths = [Array.from_json(term["vector"]).norm for term in (vector, control)]
    assert lengths[0] == pytest.approx(lengths[1], rel=1e-6)
    assert report.cases[3].counts["steered"] > 0
    assert [gate.holds for gate in report.gates] == [True]
    assert len(report.cases[3].metrics) == len(report.cases[0].metrics)


def test_a_dose_of_one_is_as_long_as_the_hidden_states(engine, spec):
    *_, vector, _ = cases(spec())
    (term,) = steering(engine, vector).terms
    hidden = steering(engine, cases(spec(("alpha: 0\n", "alpha: 0\n  units: raw\n")))[2]).terms[0]
    assert hidden.alpha == 1.0
    assert term.vector == hidden.vector
    # Measured on zoo/moe, layer 2: states of about 52, a difference of about 67.
    assert 45 < term.alpha * term.vector.norm < 60


def test_vectors_are_built_once_and_kept(engine, spec, tmp_path, monkeypatch):
    case = cases(spec())[2]
    store = CompletionStore(tmp_path / "store")
    first = steering(engine, case, store)

    def unexpected(*_args, **_kwargs):
        raise AssertionError("built again")

    monkeypatch.setattr("harness.resolve.steering.build_vectors", unexpected)
    assert steering(engine, case, store) == first
    source = VectorSource(engine, Silent(), CompletionStore(tmp_path / "store"))
    assert source.known(case.experiment, case.experiment.intervention)
    other = cases(spec(("samples: 4", "samples: 5")))[2]
    assert not source.known(other.experiment, other.experiment.intervention)


def test_a_vector_file_brings_its_own_numbers(engine, spec, tmp_path):
    ones = Array([1.0] * 96)
    write_vectors(SteeringVectors("block", {2: ones}, {2: 5.0}), tmp_path / "v.safetensors")
    change = ("{pairs: styles, samples: 4}", "{file: v.safetensors}")
    (term,) = steering(engine, cases(spec(change))[2]).terms
    assert term.vector == ones
    assert term.alpha * ones.norm == pytest.approx(5.0)


def test_a_vector_file_that_was_edited_in_place_finds_nothing_stored(spec, tmp_path):
    file = spec(("{pairs: styles, samples: 4}", "{file: v.safetensors}"))
    vectors = SteeringVectors("block", {2: Array([1.0] * 96)}, {2: 50.0})
    write_vectors(vectors, tmp_path / "v.safetensors")

    def made():
        session = opened_session(tmp_path, "test", Silent())
        selected = cases(file)
        session.plan(selected)
        for case in selected:
            session.outcome(case)
        session.close()
        return session.counts.requests_done - session.counts.requests_stored

    # Untouched, neutral, the vector and its control, 3 samples each.
    assert made() == 12
    assert made() == 0
    edited = SteeringVectors("block", {2: Array([1.0] * 95 + [2.0])}, {2: 50.0})
    write_vectors(edited, tmp_path / "v.safetensors")
    # The control is another direction for another length.
    assert made() == 6


def test_a_probe_fires_where_its_logistic_regression_says_so(engine, spec, tmp_path):
    wrong = [{"prompt": f"{n} + 1 = ", "positive": str(n + 1), "negative": "0"} for n in range(9)]
    rows = "\n".join(json.dumps(each) for each in wrong)
    (tmp_path / "own.jsonl").write_text(rows, encoding="utf-8")
    own = "{pairs: ./own.jsonl, method: probe}"
    only = ("alpha: 0\n", "alpha: 0\n  only_if: {kind: probe, threshold: 0.9}\n")
    case = cases(spec(("{pairs: styles, samples: 4}", own), only))[2]
    (term,) = steering(engine, case, CompletionStore(tmp_path / "store")).terms
    assert steering(engine, case, CompletionStore(tmp_path / "store")).terms == (term,)

    pairs = pairs_for(case.experiment, case.experiment.intervention.vector)
    sides = pair_states(engine, pairs, layers=[2], site="block", position="last")
    states = np.concatenate([side[2] for side in sides])
    labels = np.repeat([1, 0], len(pairs))
    # An independent fit: scikit-learn's own probabilities, on states in the same unit.
    centre, scale = states.mean(axis=0), states.std()
    fit = LogisticRegression(max_iter=1000).fit((states - centre) / scale, labels)
    expected = fit.predict_proba((states - centre) / scale)[:, 1]
    score = states @ term.condition.direction.numpy() + term.condition.bias
    np.testing.assert_allclose(1 / (1 + np.exp(-score)), expected, atol=1e-4)
    assert term.condition.threshold == 0.9


def test_a_file_without_a_probe_has_no_probability(spec, tmp_path):
    vectors = SteeringVectors("block", {2: Array([1.0] * 96)}, {2: 5.0})
    write_vectors(vectors, tmp_path / "v.safetensors")
    only = ("alpha: 0\n", "alpha: 0\n  only_if: {kind: probe, threshold: 0.9}\n")
    with pytest.raises(SpecError, match=r"only_if\.kind: probe, but the vector of layer 2"):
        cases(spec(("{pairs: styles, samples: 4}", "{file: v.safetensors}"), only))


def test_built_in_pairs_are_no_evaluation_samples(spec):
    (case, *_) = cases(spec(("limit: 3", "limit: 164"), ("samples: 4", "samples: 200")))
    pairs = pairs_for(case.experiment, case.experiment.intervention.vector)
    assert len(pairs) == 200
    asked = {sample.record["prompt"] for sample in case.task.samples}
    read = [pair.negative.prompt.messages[0]["content"] for pair in pairs]
    assert not any(prompt in text for prompt in asked for text in read)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ([("layer: 2", "layer: 4")], "steer.yaml:7 intervention.layer: there is no layer 4; "),
        ([("{pairs: styles, samples: 4}", "{file: no.safetensors}")], "no.safetensors: cannot be"),
        ([("{pairs: styles, samples: 4}", "{pairs: ./no.jsonl}")], "/no.jsonl: there is no such"),
        (
            [("{pairs: styles, samples: 4}", "{pairs: no.jsonl}")],
            "/no.jsonl: there is no such file",
        ),
        ([("{pairs: styles, samples: 4}", "{pairs: tone}")], "tone is neither styles nor answers,"),
        ([("styles", "answers")], "no built-in pairs of this kind for micro_humaneval"),
        (
            [("alpha: 0\n", "alpha: 0\n  only_if: {kind: probe, threshold: 0.5}\n")],
            "steer.yaml:9 intervention.only_if.kind: probe needs intervention.vector.method",
        ),
    ],
)
def test_what_cannot_be_steered_is_refused_before_loading(spec, changes, message):
    with pytest.raises(SpecError) as raised:
        cases(spec(*changes))
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_files_must_fit_the_model_and_the_spec(spec, tmp_path):
    change = ("{pairs: styles, samples: 4}", "{file: v.safetensors}")
    for site, layer, width, message in (
        ("block", 2, 7, r"shape [7] at layer 2"),
        ("mlp", 2, 96, "of site mlp"),
        ("block", 1, 96, "has no vector of layer 2; it has 1"),
    ):
        vectors = SteeringVectors(site, {layer: Array([1.0] * width)}, {layer: 1.0})
        write_vectors(vectors, tmp_path / "v.safetensors")
        with pytest.raises(SpecError) as raised:
            cases(spec(change))
        assert message in str(raised.value)


def test_pairs_of_a_file_are_used(engine, spec, tmp_path):
    rows = [{"prompt": "x = ", "positive": str(n), "negative": f"-{n}"} for n in range(1, 6)]
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    case = cases(spec(("pairs: styles", "pairs: ./pairs.jsonl")))[2]
    assert len(pairs_for(case.experiment, case.experiment.intervention.vector)) == 4
    assert steering(engine, case).terms[0].vector.norm > 0


def test_several_vectors_add_up_each_at_its_weight_and_place(engine, spec, tmp_path):
    ones, twos = Array([1.0] * 96), Array([2.0] * 96)
    write_vectors(
        SteeringVectors("block", {1: ones, 2: ones}, {1: 5.0, 2: 6.0}), tmp_path / "a.safetensors"
    )
    write_vectors(SteeringVectors("mlp", {3: twos}, {3: 7.0}), tmp_path / "b.safetensors")
    several = """
  - {file: a.safetensors, weight: 0.5}
  - {file: a.safetensors, layer: [1, 2]}
  - {file: b.safetensors, layer: 3, site: mlp, weight: -2.0}"""
    change = (" {pairs: styles, samples: 4}", several)
    *_, vector, control = cases(spec(change))
    lengths = {
        (term.layer, term.site, round(term.alpha * term.vector.norm, 4)): term.vector
        for term in steering(engine, vector).terms
    }
    assert sorted(lengths) == [
        (1, "block", 5.0),
        (2, "block", 3.0),
        (2, "block", 6.0),
        (3, "mlp", -14.0),
    ]
    randoms = {
        (term.layer, term.site, round(term.alpha * term.vector.norm, 4)): term.vector
        for term in steering(engine, control).terms
    }
    assert randoms.keys() == lengths.keys()
    assert not set(randoms.values()) & set(lengths.values())
    # Of the second vector's two layers the control is one direction, of other vectors another.
    directions = np.array([randoms[key].numpy() / randoms[key].norm for key in sorted(randoms)])
    cosines = np.abs(directions @ directions.T)
    assert cosines[0, 2] == pytest.approx(1, abs=1e-5)
    assert max(cosines[0, 1], cosines[0, 3], cosines[1, 3]) < 0.4


def test_several_vectors_run(spec, tmp_path):
    several = " [{pairs: styles, samples: 4}, {pairs: styles, samples: 2, layer: 1, weight: -0.5}]"
    report = harness.run(spec((" {pairs: styles, samples: 4}", several)), directory="out").report
    case = report.cases[3]
    assert case.status == "complete"
    assert sorted(each.layer for each in case.vectors) == [1, 2]
    assert [gate.holds for gate in report.gates] == [True]


def test_a_report_says_how_long_vectors_are_beside_the_hidden_states(spec):
    report = harness.run(spec(), directory="out").report
    neutral, vector, control = report.cases[1], report.cases[3], report.cases[4]
    assert neutral.vectors == ()
    (norm,) = vector.vectors
    assert (norm.layer, norm.site) == (2, "block")
    assert norm.relative == pytest.approx(norm.norm / norm.residual_norm)
    # A dose of one is as long as the hidden states: alpha is the other way round.
    assert norm.relative * vector.intervention["terms"][0]["alpha"] == pytest.approx(1)
    assert control.vectors[0].norm == pytest.approx(norm.norm, rel=1e-5)
    told = f"norms of the vectors: layer 2: {norm.norm:.3g} ({norm.relative:.2g} of the residual"
    assert told in " ".join(table(report).split())
    page = (Path("out") / "index.html").read_text()
    assert told in html.unescape(page)


def test_imported_vectors_without_norms_are_dosed_raw_only(engine, spec, tmp_path):
    write_vectors(SteeringVectors("block", {2: Array([1.0] * 96)}, {}), tmp_path / "v.safetensors")
    change = ("{pairs: styles, samples: 4}", "{file: v.safetensors}")
    with pytest.raises(SpecError, match=r"intervention.units: residual, but the file does not say"):
        cases(spec(change))
    raw = ("alpha: 0\n", "alpha: 0\n  units: raw\n")
    (term,) = steering(engine, cases(spec(change, raw))[2]).terms
    assert (term.alpha, term.residual_norm) == (1.0, None)


def test_what_is_known_of_a_vector_is_no_part_of_what_it_does():
    term = {"layer": 0, "vector": [1.0, 2.0], "alpha": 1.0}
    plain = Steering(terms=(Term(**term),))
    known = Steering(terms=(Term(**term, residual_norm=3.0),))
    assert plain.fingerprint() == known.fingerprint()


@pytest.mark.parametrize(
    ("rows", "rule", "message"),
    [
        ([], "last", "pairs.jsonl: holds no record"),
        ([("a", "")], "last", "pair 1: negative is empty; both sides need a text"),
        ([("a", "b"), ("c", "c")], "last", "pair 2: positive and negative are both 'c'"),
        ([("a", "b")], "-90", "pair 1: the position rule -90 matches no token"),
    ],
)
def test_pairs_that_are_none_are_refused_before_loading(spec, tmp_path, rows, rule, message):
    lines = (json.dumps({"prompt": "x", "positive": p, "negative": n}) + "\n" for p, n in rows)
    (tmp_path / "pairs.jsonl").write_text("".join(lines))
    change = ("{pairs: styles, samples: 4}", f"{{pairs: ./pairs.jsonl, position: {rule}}}")
    with pytest.raises(SpecError) as raised:
        cases(spec(change))
    assert "steer.yaml:6 intervention.vector.pairs: " in str(raised.value)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("rule", ["answer", "mean"])
def test_a_position_in_answers_that_are_not_there_is_refused_before_loading(spec, rule):
    change = ("samples: 4}", f"samples: 4, position: {rule}}}")
    with pytest.raises(SpecError, match=f"the position rule '{rule}' matches no token"):
        cases(spec(change))


def test_a_file_with_a_number_that_is_none_is_refused(spec, tmp_path):
    bad = torch.tensor([1.0] * 95 + [torch.nan])
    metadata = {"format": FORMAT, "site": "block"}
    save_file({"layer.2": bad}, tmp_path / "v.safetensors", metadata)
    with pytest.raises(SpecError, match=r"tensor layer.2: entry \[95\] is nan; every number must"):
        cases(spec(("{pairs: styles, samples: 4}", "{file: v.safetensors}")))


def test_a_file_with_a_vector_of_zeros_is_refused(spec, tmp_path):
    zero = SteeringVectors("block", {2: Array([0.0] * 96)}, {2: 1.0})
    write_vectors(zero, tmp_path / "v.safetensors")
    with pytest.raises(SpecError, match=r"the vector of layer 2 is zero: .*; use another layer"):
        cases(spec(("{pairs: styles, samples: 4}", "{file: v.safetensors}")))


def test_a_vector_of_a_model_with_other_layers_is_refused(spec, tmp_path):
    facts = {"layers": "48", "model": "some/model"}
    vectors = SteeringVectors("block", {2: Array([1.0] * 96)}, {2: 1.0}, facts)
    write_vectors(vectors, tmp_path / "v.safetensors")
    with pytest.raises(SpecError, match="of a model with 48 layers") as raised:
        cases(spec(("{pairs: styles, samples: 4}", "{file: v.safetensors}")))
    assert "(some/model), but zoo/moe has 4" in str(raised.value)


def test_what_is_wrong_with_one_of_several_is_told_at_its_place(spec, tmp_path):
    several = """
  - {pairs: styles, samples: 4}
  - {pairs: styles, layer: 9}"""
    with pytest.raises(
        SpecError, match=r"steer.yaml:8 intervention.vector\[1\].layer: there is no"
    ):
        cases(spec((" {pairs: styles, samples: 4}", several)))
    with pytest.raises(
        SpecError, match=r"steer.yaml:8 intervention.vector\[1\].file: .*v.safetens"
    ):
        cases(
            spec(
                (
                    " {pairs: styles, samples: 4}",
                    several.replace("pairs: styles, layer: 9", "file: v.safetensors"),
                )
            )
        )


@pytest.mark.parametrize(
    "change",
    [
        ("position: -2", "position: -3"),
        ("method: mean", "method: pca"),
        ("layer: 2", "layer: 1"),
        ("layer: 2\n", "layer: 2\n  site: mlp\n"),
        ("samples: 4", "samples: 5"),
        ("pairs: styles", "pairs: ./pairs.jsonl"),
        ("zoo/moe", "zoo/oracle"),
    ],
)
def test_a_stored_vector_is_found_only_under_everything_that_decided_it(
    engine, spec, tmp_path, change
):
    rows = [{"prompt": "x = ", "positive": str(n), "negative": f"-{n}"} for n in range(1, 6)]
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    base = ("samples: 4}", "samples: 4, method: mean, position: -2}")
    store = CompletionStore(tmp_path / "store")
    case = cases(spec(base))[2]
    VectorSource(engine, Silent(), store).steering(case.experiment, case.experiment.intervention)
    other = cases(spec(base, change))[2]
    model = other.experiment.model
    own = engine if model == "zoo/moe" else TransformersEngine(load_model(model))
    again = VectorSource(own, Silent(), store)
    assert VectorSource(engine, Silent(), store).known(
        case.experiment, case.experiment.intervention
    )
    assert not again.known(other.experiment, other.experiment.intervention)
