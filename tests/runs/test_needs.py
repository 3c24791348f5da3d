"""What cases will ask of an engine: everything that it is then asked, known beforehand."""

from __future__ import annotations

import pytest

from harness.engines.base import Reading
from harness.engines.declared import Declared
from harness.engines.transformers.engine import TransformersEngine
from harness.engines.vllm.reading import needed
from harness.runs.needs import needs_of
from harness.runs.plan import planned
from harness.runs.progress import Silent
from harness.runs.resolve import Resolver
from harness.spec import expand, load

SPEC = """\
name: needs
model: zoo/moe
task: {name: micro_humaneval, limit: 2}
intervention: %s
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
    "usage-mask": "{kind: router_mask, count: 2, points: {usage: avg_all_assisted}}",
}


class Watched(TransformersEngine):
    """Remembers what it was asked to read."""

    asked: list[Reading]

    def forward(self, readings):
        asked = list(readings)
        self.asked += asked
        return super().forward(asked)


@pytest.mark.parametrize("name", INTERVENTIONS)
def test_everything_that_is_asked_was_known_from_the_spec(loaded, name, tmp_path):
    file = tmp_path / "needs.yaml"
    file.write_text(SPEC % INTERVENTIONS[name])
    case = planned(expand(*load(file))[-1])
    engine = Watched(loaded)
    engine.asked = []
    intervention = Resolver(engine, Silent(), None).resolve(case.experiment)
    known = needs_of([case.experiment])
    assert known.lacks(Declared.of([intervention])) is None
    assert known.lacks(needed(engine.asked)) is None
    assert bool(engine.asked) == (name != "random-mask")


def test_a_neutral_case_needs_nothing(tmp_path):
    file = tmp_path / "needs.yaml"
    file.write_text(SPEC % INTERVENTIONS["block"].replace("alpha: 1", "alpha: 0"))
    case = planned(expand(*load(file))[-1])
    assert needs_of([case.experiment]) == Declared()
