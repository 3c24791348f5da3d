"""Metrics of a spec through a whole run: counted, failed, judged, scored again, asked for early."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Literal

import pytest

import harness
from harness import registry
from harness.engines.contract import Scoring
from harness.engines.transformers.engine import TransformersEngine
from harness.errors import SpecError
from harness.metrics.entry import Asks, MetricEntry
from harness.metrics.kind import MetricKind
from harness.runs.rescore import rescore
from harness.spec.metric import MetricSettings
from harness.store.records import from_json, read_records, to_json
from harness.store.results import compared
from tests.runs.small import cases, run_on, start

SPEC = """\
name: props
model: zoo/moe
task: {name: micro_gsm8k, limit: 6}
metrics:
  - {kind: python, function: own.py:vowels, name: vowels}
  - {kind: lexicon, file: words.csv, good: higher}
intervention: {kind: router_mask, points: {random: 0}, count: 0}
sampling: {max_new_tokens: 12}
axes:
  intervention.count: [0, 60]
gates: [vowels >= 0, neutral_equals_baseline]
"""
CODE = """\
def vowels(sample, completion):
    assert not sample.id.endswith("/2"), "I do not like it"
    return sum(completion.text.count(each) for each in "aeiou")
"""


@pytest.fixture
def spec(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.py").write_text(CODE)
    (tmp_path / "words.csv").write_text("has,1\nbuys,2\n")
    (tmp_path / "props.yaml").write_text(SPEC)
    return tmp_path / "props.yaml"


def results_of(directory):
    return list(read_records(directory / "records.jsonl"))


def test_a_run_counts_what_has_a_value_and_scores_again_without_a_model(spec, tmp_path):
    report = harness.run(spec, directory=tmp_path / "report", unsafe_code=True)
    written = json.loads((tmp_path / "report" / "report.json").read_text())
    assert all(gate["holds"] for gate in written["gates"])
    *_, masked = written["cases"]
    assert masked["metric"] == "vowels", "the first of metrics is the primary one"
    assert (masked["metrics"]["vowels"]["n"], masked["metrics"]["lexicon"]["n"]) == (5, 6)
    versus = masked["versus_baseline"]
    assert sum(versus["vowels"][each] for each in ("better", "worse", "unchanged")) == 5
    assert (versus["vowels"]["good"], versus["lexicon"]["good"]) == ("neither", "higher")
    assert set(masked["contents"]) == {"cut", "vowels", "lexicon"}
    (told,) = [each for each in masked["warnings"] if "left out of it" in each]
    assert told == (
        "vowels failed for 1 of 6 samples, which are left out of it; first MicroGSM8K/2: "
        "AssertionError: I do not like it"
    )
    assert "(n 5)" in repr(report)
    before = results_of(tmp_path / "report")
    assert all(from_json(to_json(each)) == each for each in before)

    with pytest.raises(SpecError, match=r"props\.yaml:5 metrics\[0\]\.function: own\.py would be"):
        rescore("report", tmp_path, tmp_path / "again", "again")
    assert rescore("report", tmp_path, tmp_path / "again", "again", unsafe_code=True).changes == ()
    again = results_of(tmp_path / "again")
    assert [each.sample_metrics for each in again] == [each.sample_metrics for each in before]

    spec.write_text(SPEC.replace("  - {kind: python", "  - length\n  - {kind: python"))
    rescore("report", tmp_path, tmp_path / "more", "more", spec=spec, unsafe_code=True)
    for more, own in zip(results_of(tmp_path / "more"), before, strict=True):
        assert more.metric == "length"
        lengths = {draw.sample: len(draw.completion.tokens) for draw in own.draws}
        assert more.sample_metrics["length"] == lengths
    spec.write_text(SPEC.replace("  - {kind: python", "  - fluency\n  - {kind: python"))
    with pytest.raises(SpecError, match="fluency asks a model, which scoring again does not"):
        rescore("report", tmp_path, tmp_path / "other", "other", spec=spec, unsafe_code=True)
    # The run itself has it from the store: nothing but fluency is made.
    harness.run(spec, directory=tmp_path / "fluent", unsafe_code=True)
    cost = json.loads((tmp_path / "fluent" / "report.json").read_text())["run"]["cost"]
    assert (cost["stored"], cost["model_loads"]) == (18, 1)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("name: vowels", "name: parsed", r"yaml:5 metrics\[0\]: has the name parsed, as micro_gsm"),
        (
            "good: higher",
            "name: vowels",
            r"yaml:6 metrics\[1\]: has the name vowels, as metrics",
        ),
        ("words.csv", "word.csv", r"yaml:6 metrics\[1\]\.file: .*word\.csv: No such file"),
        ("kind: lexicon", "kind: lexcion", r"\.kind: 'lexcion' .* did you mean lexicon\?"),
        ("own.py:vowels", "own.py", r"yaml:5 metrics\[0\]\.function: .*own\.py.*FILE\.py:NAME"),
        ("vowels >= 0", "vowel >= 0", r"did you mean vowels\?"),
        ("  - {kind: python", "  - regex\n  - {kind: python", "regex needs pattern; write"),
    ],
)
def test_what_cannot_be_counted_is_told_before_anything_is_made(spec, old, new, told):
    spec.write_text(SPEC.replace(old, new, 1))
    with pytest.raises(SpecError, match=told) as caught:
        harness.run(spec, unsafe_code=True)
    assert "\n" not in str(caught.value)


def test_a_metric_that_fails_everywhere_fails_its_case_only_where_it_is_the_primary_one(loaded):
    never = {"kind": "repetition", "n": 20}
    fields = {"sampling": {"max_new_tokens": 4}, "axes": {"intervention.count": [0]}}
    (case,) = cases(**fields, metrics=[never])
    result = start(loaded, [case]).result(case)
    assert result.status == "failed"
    assert result.error.startswith("repetition failed for all 3 samples, first MicroHumanEval/0: ")
    assert len(result.draws) == 3, "they can be scored again"
    (case,) = cases(**fields, metrics=[never], metric="pass@1")
    result = start(loaded, [case]).result(case)
    assert result.status == "complete"
    assert "repetition" not in result.sample_metrics


@pytest.mark.parametrize(
    ("does", "told"),
    [
        ("exit(0)", "SystemExit: 0"),
        ("return -1e308", "its value is -1e+308; 1e+100 is the largest that counts"),
    ],
)
def test_a_sample_fails_where_a_function_ends_the_process_or_no_sum_can_hold_its_value(
    spec, tmp_path, does, told
):
    line = f"    if sample.id.endswith('/1'):\n        {does}\n    return"
    (tmp_path / "own.py").write_text(CODE.replace("    return", line))
    harness.run(spec, directory=tmp_path / "report", unsafe_code=True)
    for result in results_of(tmp_path / "report"):
        assert result.failures["vowels"]["MicroGSM8K/1"] == told
        assert len(result.sample_metrics["vowels"]) == 4


def test_a_sample_that_failed_on_one_side_is_left_out_of_both(loaded):
    (case,) = cases(axes={"intervention.count": [0]}, metrics=["length"])
    run = start(loaded, [case])
    base, own = run.result(case.baseline), run.result(case)
    (first, second, third) = own.sample_metrics["length"]

    def without(result, sample):
        left = {k: v for k, v in result.sample_metrics["length"].items() if k != sample}
        failures = {"length": {sample: "no"}}
        return replace(result, sample_metrics={"length": left}, failures=failures)

    mine, theirs = compared(without(own, first), without(base, second), "length")
    assert list(mine) == list(theirs) == [third]


# Metrics that ask together with completions ---------------------------------------------------


class YesSettings(MetricSettings):
    """How probable `yes` is behind the prompt."""

    kind: Literal["yes"]
    """The kind."""


def _both(seen, asker):
    assert not seen.answers
    word = tuple(asker.tokenizer.encode("yes", add_special_tokens=False))
    return [Scoring(asker.prompt, (word,), each) for each in (asker.intervention, None)]


def _difference(seen):
    own, untouched = (sum(reply.log_probabilities[0]) for reply in seen.replies)
    return own - untouched


YES = MetricKind(
    "yes",
    "log-probability of yes, less the untouched model's",
    YesSettings,
    lambda _: MetricEntry("yes", "it", value=_difference, asks=Asks(_both, most=2, early=True)),
)


@pytest.fixture
def yes():
    registry.metrics.register("yes", YES)
    yield
    registry.metrics.unregister("yes")


@pytest.mark.usefixtures("yes")
def test_a_metric_asks_the_touched_and_the_untouched_model_with_the_completions(loaded):
    asked = cases(axes={"intervention.count": [0, 60]}, metrics=["yes"])
    engine = TransformersEngine(loaded)
    run = run_on(engine, asked)
    total = run._counts.requests_total
    results = [run.result(each) for each in (asked[0].baseline, *asked)]
    assert run._counts.requests_total == run._counts.requests_done == total, "none came later"
    assert set(results[0].sample_metrics["yes"].values()) == {0.0}
    assert list(results[1].sample_metrics["yes"].values()) == pytest.approx([0.0] * 3, abs=1e-4)
    assert any(abs(value) > 1e-3 for value in results[2].sample_metrics["yes"].values())
    assert from_json(to_json(results[2])) == results[2]
