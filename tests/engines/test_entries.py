"""An engine that another package brings says of itself what it does, and is asked for no more."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.engines import check_kind
from harness.errors import FieldError, SpecError
from harness.invariants import Checker, checks
from harness.registry import engines
from harness.runs.checks import planned
from harness.spec import EngineSettings, expand, load
from harness.spec.engine_kind import engine_named

SPEC = """\
name: asked
model: zoo/moe
engine: {name: added}
task: {name: micro_humaneval, limit: 2}
"""


@pytest.fixture
def added():
    """Registers a variant of the transformers engine under another name."""

    def register(**changes):
        engines.register("added", replace(engine_named("transformers"), name="added", **changes))

    yield register
    engines.unregister("added")


def check(tmp_path, text):
    (tmp_path / "asked.yaml").write_text(SPEC + text)
    for case in expand(*load(tmp_path / "asked.yaml")):
        planned(case)


def test_its_mechanisms_are_its_own(added):
    added(mechanisms=frozenset({"residual"}))
    check_kind("added", "steering")
    with pytest.raises(FieldError, match="kind router_mask; use transformers, vllm"):
        check_kind("added", "router_mask")


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("measure: forward\n", "router_logits"),
        ("measure: forward\n", "hidden"),
        (
            "intervention: {kind: router_mask, points: {usage: avg_last_agentic}, count: 2}\n",
            "router_logits",
        ),
        (
            "intervention: {kind: steering, vector: {pairs: styles}, layer: 1, alpha: 1}\n",
            "hidden",
        ),
        (
            "intervention: {kind: dac, properties: [{pairs: styles, layers: [1]}], strongest: 1}\n",
            "hidden",
        ),
    ],
)
def test_what_it_does_not_read_is_refused_by_name_before_a_run(added, tmp_path, text, missing):
    added(captures=frozenset({"router_logits", "hidden"} - {missing}))
    problem = rf"asked.yaml:3 engine.name: added does not read {missing}, .*; use transformers or v"
    with pytest.raises(SpecError, match=problem):
        check(tmp_path, text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "measure: likelihood\n",
        "intervention: {kind: router_mask, points: {random: 0}, count: 2}\n",
    ],
)
def test_what_reads_nothing_inside_a_model_runs_on_any(added, tmp_path, text):
    added(captures=frozenset())
    check(tmp_path, text)


def test_it_owes_the_identities_of_every_intervention(added):
    added()
    found = checks("zoo/moe", EngineSettings(name="added"))
    own = checks("zoo/moe", EngineSettings())
    assert {each.settings.name for each in found} == {"added"}
    assert {each.engine for each in found} == {"fast", "strict"}, "it has that setting"
    assert {each.name for each in found} == {each.name for each in own}
    first = next(each for each in found if each.excuse is None)
    assert Checker().check(first).holds
