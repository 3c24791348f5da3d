"""A sampling rule as the dose: run, compared with the plain sampler, and judged."""

from __future__ import annotations

import pytest

import harness

SPEC = """\
name: swept
model: zoo/base
task: {name: micro_gsm8k, limit: 6}
sampling: {temperature: 2.0, max_new_tokens: 24, draws: 2}
axes:
  sampling.greedy_threshold: [0, 0.3, 1]
dose: sampling.greedy_threshold
gates:
  - neutral_equals_baseline
  - exact_match >= 0 where baseline
  - monotone within CI
"""


@pytest.fixture
def swept(written, tmp_path):
    def run(*changes):
        spec = tmp_path / "swept.yaml"
        text = SPEC
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        spec.write_text(text)
        return harness.run(spec, directory=tmp_path / "report", store=tmp_path / "store")

    return run


def test_the_neutral_rule_is_run_and_equals_the_plain_sampler(swept):
    report = swept()
    cases = report.cases.set_index("id")
    assert list(cases.index) == [
        "swept[baseline]",
        "swept[greedy_threshold=0]",
        "swept[greedy_threshold=0.3]",
        "swept[greedy_threshold=1]",
    ]
    # The neutral dose was asked for by itself: its requests are no doubles of the baseline's.
    assert report.report.run.cost.requests == 48
    assert cases["agreement.coupled"].dropna().tolist()[0] == 1
    assert 0 < cases.loc["swept[greedy_threshold=1]", "agreement.coupled"] < 1
    assert report.invariants["name"].tolist() == ["neutral_equals_baseline"]
    assert report.invariants["holds"].all()
    assert [gate.holds for gate in report.report.gates] == [True] * 3


def test_a_sweep_over_temperature_refers_to_its_lowest(swept):
    report = swept(
        ("sampling.greedy_threshold: [0, 0.3, 1]", "sampling.temperature: [0.5, 1.5]"),
        ("dose: sampling.greedy_threshold", "dose: sampling.temperature"),
        ("  - monotone within CI\n", ""),
    )
    cases = report.cases.set_index("id")
    assert cases.loc["swept[temperature=0.5]", "agreement.identical"] == 1
    assert cases.loc["swept[temperature=1.5]", "agreement.identical"] < 1
