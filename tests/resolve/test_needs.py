"""What cases will ask of an engine: everything that it is then asked, known beforehand."""

from __future__ import annotations

import pytest
import yaml

from harness import registry
from harness.engines import runs
from harness.engines.declared import Declared
from harness.resolve.needs import needs_of
from harness.resolve.progress import Silent
from harness.resolve.resolver import Resolver
from harness.runs.checks import planned
from harness.runs.forward import measured_case
from harness.spec import expand, load
from tests.told import ToldEngine

SPEC = """\
name: needs
model: zoo/moe
task: {name: micro_humaneval, limit: 2}
intervention: %s
"""
FORWARD = """\
name: needs
model: {model}
task: {{name: micro_humaneval, limit: 1}}
measure: forward
"""
INTERVENTIONS = {
    "block": "{kind: steering, vector: {pairs: styles, samples: 2}, layer: 2, alpha: 1}",
    "attention": (
        "{kind: steering, vector: {pairs: styles, samples: 2, site: attention}, "
        "layer: [1, 2], alpha: 1}"
    ),
    "residual": (
        "{kind: steering, vector: {pairs: styles, samples: 2}, site: mlp, layer: 2, alpha: 1, "
        "units: residual}"
    ),
    "condition": (
        "{kind: steering, vector: {pairs: styles, samples: 2}, layer: 2, alpha: 1, "
        "only_if: {kind: cosine, threshold: 0.1}}"
    ),
    "random-mask": "{kind: router_mask, count: 2, points: {random: 1}}",
    "dac": (
        "{kind: dac, top_p: 0.5, strongest: 1, properties: [{pairs: styles, samples: 2}, "
        "{pairs: styles, samples: 2, name: other, layers: [1]}]}"
    ),
    "usage-mask": "{kind: router_mask, count: 2, points: {usage: avg_all_assisted}}",
    "oracle": "{kind: oracle, model: zoo/oracle, budget: 1, length: 2}",
    "adapter": "{kind: adapter, organism: cake, variant: default, scale: 1}",
}
OTHER_MODELS = {"adapter": "zoo/settled"}


@pytest.mark.parametrize("name", INTERVENTIONS)
def test_everything_that_is_asked_was_known_from_the_spec(name, tmp_path):
    file = tmp_path / "needs.yaml"
    spec = SPEC % INTERVENTIONS[name]
    file.write_text(spec.replace("zoo/moe", OTHER_MODELS.get(name, "zoo/moe")))
    case = planned(expand(*load(file))[-1])
    needs = needs_of([case.experiment])
    engine = ToldEngine(case.experiment.model, needs)
    intervention = Resolver(engine, Silent(), None).resolve(case.experiment)
    assert needs == engine.asked | Declared.of([intervention])


@pytest.mark.parametrize("model", ["zoo/moe", "zoo/oracle"])
def test_forward_passes_read_every_layer_and_the_routers_of_a_model_that_has_them(model, tmp_path):
    """A dense model that was told to read its routers would not start."""
    file = tmp_path / "needs.yaml"
    file.write_text(FORWARD.format(model=model))
    (case,) = (planned(case) for case in expand(*load(file)))
    needs = needs_of([case.experiment])
    engine = ToldEngine(model, needs)
    measured_case(engine, case, None, tmp_path / "forward", lambda _: None)
    assert needs == engine.asked
    assert needs.router_logits == (model == "zoo/moe")


def test_every_kind_that_an_engine_must_be_told_of_is_among_these():
    """Whoever lets vLLM run another kind says here what it needs."""
    sections = map(yaml.safe_load, INTERVENTIONS.values())
    assert {section["kind"] for section in sections} == {
        kind for kind in registry.interventions.names() if runs("vllm", kind)
    }


def test_a_neutral_case_needs_nothing(tmp_path):
    file = tmp_path / "needs.yaml"
    file.write_text(SPEC % INTERVENTIONS["block"].replace("alpha: 1", "alpha: 0"))
    case = planned(expand(*load(file))[-1])
    assert needs_of([case.experiment]) == Declared()
