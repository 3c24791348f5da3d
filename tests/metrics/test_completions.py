"""Registered metrics of completions, from a spec to a report that is compared with another."""

from __future__ import annotations

import json
from statistics import median

import pytest

import harness
from harness.errors import SpecError
from harness.metrics.builtin import answer_perplexity, median_tokens
from harness.metrics.entry import Answer, Seen
from harness.runs.checks import planned
from harness.spec import expand, load

SPEC = """\
name: lengths
model: zoo/moe
task: {name: micro_gsm8k, limit: 12}
metric: median_tokens
metrics: [answer_perplexity]
intervention: {kind: router_mask, points: {random: 0}, count: 0}
sampling: {max_new_tokens: 48}
axes:
  intervention.count: [0, 60]
dose: intervention.count
gates:
  - neutral_equals_baseline
  - median_tokens <= 48
  - answer_perplexity >= 1
"""


@pytest.fixture
def spec(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lengths.yaml").write_text(SPEC)
    return tmp_path / "lengths.yaml"


def test_they_are_counted_judged_shown_and_compared(spec, tmp_path):
    report = harness.run(spec, directory=tmp_path / "report", save="before")
    written = json.loads((tmp_path / "report" / "report.json").read_text())
    assert all(gate["holds"] for gate in written["gates"])
    *_, masked = written["cases"]
    assert masked["metric"] == "median_tokens"
    assert list(masked["metrics"]) == [
        "exact_match",
        "parsed",
        "tool_call",
        "cut",
        *reversed(ADDED),
    ]
    assert {masked["metrics"][name]["method"] for name in ADDED} == {"bootstrap"}
    for name in ADDED:
        assert masked["versus_baseline"][name]["test"] == "paired_bootstrap"
        assert masked["versus_baseline"][name]["good"] == "neither"
    frame = report.samples
    own = frame[frame["case"] == masked["id"]]
    assert masked["metrics"]["median_tokens"]["value"] == median(own["tokens"])
    assert "median_tokens" in repr(report)
    again = harness.run(
        spec,
        directory=tmp_path / "again",
        compare="before",
        compare_fail=["median_tokens: different", "exact_match: worse, p<0.05"],
    )
    assert again.report.cases[-1].metrics == report.report.cases[-1].metrics


ADDED = ("median_tokens", "answer_perplexity")


def test_without_a_word_of_them_nothing_is_counted(spec):
    plain = SPEC.replace("metric: median_tokens\nmetrics: [answer_perplexity]\n", "")
    spec.write_text(plain.partition("gates:")[0])
    (case, _) = [planned(case) for case in expand(*load(spec))]
    assert not set(case.metrics) & set(ADDED)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (
            "[answer_",
            "[answr_",
            r"yaml:5 metrics\[0\]: 'answr_perplexity' is not accept",
        ),
        ("gates:", "measure: forward\ngates:", r"lengths\.yaml:\d+ metrics: answer_perplexity"),
        ("median_tokens <= 48", "median_tokens <= -1", "is never below 0, and so never <= -1"),
        ("median_tokens <=", "median_token <=", r"did you mean median_tokens\?"),
    ],
)
def test_what_cannot_be_counted_is_told(spec, old, new, told):
    spec.write_text(SPEC.replace(old, new, 1))
    with pytest.raises(SpecError, match=told):
        harness.run(spec)


MEDIAN_TOKENS, PERPLEXITY = (kind.METRIC.make(None) for kind in (median_tokens, answer_perplexity))


def seen(*answers):
    return Seen("s", {}, "prompt", answers)


def test_a_refused_request_has_no_tokens_and_surprises_nobody():
    refused = seen(Answer((), ""))
    assert MEDIAN_TOKENS.value(refused) == 0
    assert PERPLEXITY.value(refused) == [0, 0]
    assert PERPLEXITY.of([[0, 0]]) == 1


def test_a_perplexity_weighs_every_token_alike():
    values = [
        PERPLEXITY.value(seen(Answer((1,), "a", (-1.0,)))),
        PERPLEXITY.value(seen(Answer((1, 2, 3), "b", (-2.0, -3.0, -4.0)))),
    ]
    assert PERPLEXITY.of(values) == pytest.approx(2.718281828 ** (10 / 4))
