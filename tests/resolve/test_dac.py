"""Dynamic activation composition from a spec to its report, its store, and its refusals."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial

import pytest

import harness
from harness.engines import check_kind
from harness.errors import FieldError, SpecError
from harness.interventions.array import Array
from harness.interventions.dac.description import DAC
from harness.interventions.vector_file import SteeringVectors, write_vectors
from harness.registry import engines
from harness.resolve.dac import DacResolution
from harness.resolve.progress import Silent
from harness.runs.checks import planned
from harness.runs.session import opened_session
from harness.spec import expand, load
from harness.spec.engine_kind import engine_named
from harness.store.completions import CompletionStore

SPEC = """\
name: compose
model: zoo/moe
task: {name: micro_humaneval, limit: 3}
intervention:
  kind: dac
  properties:
    - {pairs: styles, samples: 4, steps: 6}
  strongest: 0
sampling: {max_new_tokens: 16}
axes:
  intervention.strongest: [0, 2]
dose: intervention.strongest
gates: [neutral_equals_baseline]
"""
PROPERTY = "{pairs: styles, samples: 4, steps: 6}"


@pytest.fixture
def spec(written):
    return partial(written, "compose", SPEC)


def cases(file):
    return [planned(case) for case in expand(*load(file))]


def dac(engine, case, store=None) -> DAC:
    source = DacResolution(engine, Silent(), store)
    return source.resolve(case.experiment, case.experiment.intervention)


def samples(directory):
    return [json.loads(line) for line in (directory / "samples.jsonl").read_text().splitlines()]


def test_a_run_chooses_doses_reports_them_and_makes_nothing_twice(spec, tmp_path):
    file = spec()
    report = harness.run(file, directory="out").report
    assert [case.id for case in report.cases] == [
        "compose[baseline]",
        "compose[strongest=0-control=none]",
        "compose[strongest=0-control=random]",
        "compose[strongest=2-control=none]",
        "compose[strongest=2-control=random]",
    ]
    assert report.gates[0].holds
    lines = samples(tmp_path / "out")
    traced = [line for line in lines if "strongest=2" in line["case"]]
    assert len(traced) == 6
    for line in traced:
        doses = line["traces"]["alpha styles"]
        assert len(doses) == line["tokens"]
        assert all(0 <= dose <= 2 for dose in doses)
    assert any(any(line["traces"]["alpha styles"]) for line in traced)
    assert not any("traces" in line for line in lines if line not in traced)
    assert (tmp_path / "out" / "plots" / "compose-traces.png").read_bytes().startswith(b"\x89PNG")
    page = (tmp_path / "out" / "index.html").read_text()
    assert page.count("data:image/png;base64,") == 1

    session = opened_session(tmp_path, "again", Silent())
    try:
        planned_cases = cases(file)
        session.plan(planned_cases)
        again = [session.outcome(case) for case in planned_cases]
    finally:
        session.close()
    assert session.counts.loads == 0
    assert session.counts.requests_stored == session.counts.requests_total
    came = {
        (result.case.id, draw.sample): draw.completion.traces
        for result in again
        for draw in result.draws
    }
    for line in traced:
        stored = came[line["case"], line["sample"]]["alpha styles"]
        assert list(stored) == line["traces"]["alpha styles"]


def test_differences_are_measured_once_and_kept(spec, engine, tmp_path):
    _, _, strong, control = cases(spec())
    store = CompletionStore(tmp_path / "store")
    first = dac(engine, strong, store)
    assert [own.vector.shape for own in first.properties[0].differences] == [(6, 96)] * 4
    assert first.properties[0].site == "attention"

    class Unable:
        fingerprint = engine.fingerprint
        tokenizer = engine.tokenizer

    assert dac(Unable(), strong, store) == first
    turned = dac(Unable(), control, store)
    for own, other in zip(
        first.properties[0].differences, turned.properties[0].differences, strict=True
    ):
        assert own.layer == other.layer
        assert own.vector != other.vector
        assert own.vector.norm == pytest.approx(other.vector.norm, rel=1e-5)


def test_a_neutral_one_measures_nothing(spec):
    class Unable:
        fingerprint = "none"

    neutral, *_ = cases(spec())
    found = dac(Unable(), neutral)
    assert found.is_neutral
    source = DacResolution(Unable(), Silent())
    assert source.known(neutral.experiment, neutral.experiment.intervention)


def test_a_file_is_a_property_of_every_step(spec, engine, tmp_path):
    vector = Array([0.5] * 96)
    write_vectors(SteeringVectors("mlp", {1: vector}, {1: 1.0}), tmp_path / "polite.safetensors")
    two = f"{PROPERTY}\n    - {{file: polite.safetensors}}"
    *_, strong, _ = cases(spec((PROPERTY, two)))
    found = dac(engine, strong)
    assert [(each.name, each.site) for each in found.properties] == [
        ("styles", "attention"),
        ("polite", "mlp"),
    ]
    assert found.properties[1].differences[0].vector == vector
    assert found.properties[1].steps is None


def test_pairs_of_a_file_follow_its_answers(spec, engine, tmp_path, monkeypatch):
    pair = {"prompt": "def f(x):", "positive": " return x", "negative": " pass"}
    (tmp_path / "pairs.jsonl").write_text(json.dumps(pair) + "\n")
    # Paths start at the spec's folder, also inside a list.
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    own = "{pairs: ./pairs.jsonl, layers: [1, 3], site: block, name: short}"
    *_, strong, _ = cases(spec((PROPERTY, own)))
    (found,) = dac(engine, strong).properties
    assert (found.name, found.site) == ("short", "block")
    assert [each.layer for each in found.differences] == [1, 3]


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("strongest: 0\n", "strongest: 0\n  top_p: 0\n", "intervention.top_p: 0"),
        ("strongest: 0\n", "strongest: 0\n  top_p: 1.2\n", "intervention.top_p: 1.2"),
        ("[0, 2]", "[0, -1]", "intervention.strongest"),
        ("[0, 2]", "[0, .nan]", "intervention.strongest"),
        (PROPERTY, "{pairs: styles, layers: [9]}", "properties[0].layers: there is no layer 9"),
        (PROPERTY, "{pairs: styles, steps: 0}", "steps"),
        (PROPERTY, "{pairs: answers}", "properties[0].pairs: answers: there are no built-in pairs"),
        (PROPERTY, "{pairs: ./none.jsonl}", "properties[0].pairs"),
        (PROPERTY, "{file: none.safetensors}", "properties[0].file"),
        (PROPERTY, f"{PROPERTY}\n    - {{pairs: styles}}", "'styles' is the name of another"),
        (f"\n    - {PROPERTY}", " []", "properties"),
        (PROPERTY, "{pears: styles}", "a mapping with one of the keys pairs, file"),
        (PROPERTY, "{pairs: styles, layer: 2}", "properties[0].layer: unknown key; did you mean"),
        ("zoo/moe\n", "zoo/moe\nmeasure: forward\n", "measure: forward passes read given texts"),
    ],
)
def test_what_cannot_be_is_refused_before_a_model_is_loaded(spec, old, new, problem):
    with pytest.raises(SpecError) as refused:
        cases(spec((old, new)))
    assert problem in str(refused.value)
    assert "compose.yaml:" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_vectors_of_another_width_are_refused(spec, tmp_path):
    write_vectors(
        SteeringVectors("block", {0: Array([1.0] * 7)}, {0: 1.0}), tmp_path / "narrow.safetensors"
    )
    with pytest.raises(SpecError, match=r"properties\[0\].file: a vector of shape \[7\]"):
        cases(spec((PROPERTY, "{file: narrow.safetensors}")))


def test_an_engine_that_cannot_is_refused_by_name(monkeypatch, request, spec):
    own = engine_named("transformers")
    short = replace(own, mechanisms=frozenset({"router_logits", "residual"}))
    monkeypatch.setitem(engines._loaded, "transformers", short)
    engines.register("able", replace(own, name="able"))
    request.addfinalizer(lambda: engines.unregister("able"))
    with pytest.raises(FieldError, match="transformers does not run interventions of kind dac"):
        check_kind("transformers", "dac")
    with pytest.raises(SpecError, match=r"engine.name: transformers does not .* use able"):
        cases(spec())
