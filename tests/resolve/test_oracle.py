"""Oracle help from a spec to its report, its store, its export, and its refusals."""

from __future__ import annotations

import json

import pytest

import harness
from harness.errors import SpecError
from harness.report.exports import export
from harness.runs.checks import planned
from harness.spec import expand, load

NOWHERE = "http://127.0.0.1:9/v1"
SPEC = """\
name: helped
model: zoo/base
task: {name: micro_gsm8k, limit: 20}
intervention:
  kind: oracle
  model: zoo/oracle
  length: 4
  step: 4
  trigger: {kind: entropy, above: 0.1}
sampling: {max_new_tokens: 48}
axes:
  intervention.budget: [0, 1, 8]
dose: intervention.budget
gates: [neutral_equals_baseline]
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("helped")
    (folder / "spec.yaml").write_text(SPEC, "utf-8")
    return folder


@pytest.fixture(scope="module")
def report(folder):
    return harness.run(folder / "spec.yaml", directory=folder / "report", store=folder / "store")


def test_a_report_says_what_help_came_to(report):
    (found,) = report.report.help
    assert found.trigger == "entropy"
    assert [point.case for point in found.points] == ["helped[budget=1]", "helped[budget=8]"]
    one, eight = found.points
    assert 0 < one.share.value < eight.share.value < 1
    assert found.weak < eight.accuracy <= found.strong
    assert 1 < eight.cost.value < found.strong_cost
    assert "PGR" in repr(report)
    assert "helped-help.png" in {path.name for path in (report.directory / "plots").iterdir()}
    assert "What help came to" in (report.directory / "index.html").read_text("utf-8")


def test_who_wrote_what_is_in_the_samples(report):
    eight = report.samples.query("case == 'helped[budget=8]'")
    traces = list(eight["traces"])
    assert any(max(each["author"]) > 1 for each in traces)
    assert all(
        len(each["author"]) == tokens for each, tokens in zip(traces, eight["tokens"], strict=True)
    )
    # Entropy is read at every occasion, the first of which comes before any token.
    assert all(each["asked entropy"][0] >= 0 for each in traces)


def test_a_rerun_loads_no_model(folder, report):
    again = harness.run(folder / "spec.yaml", directory=folder / "again", store=folder / "store")
    assert again.report.run.cost.model_loads == 0
    assert again.report.help == report.report.help


def test_the_export_has_the_fields_of_the_original(report, tmp_path):
    files = export(report, "guided", tmp_path / "out")
    assert [path.name for path in files] == ["helped[budget=1].jsonl", "helped[budget=8].jsonl"]
    lines = [json.loads(line) for path in files for line in path.read_text("utf-8").splitlines()]
    assert len(lines) == 40
    for line in lines:
        assert list(line) == [
            *("c", "k", "max_new_tokens", "temperature", "top_p", "base_model_id"),
            *("oracle_model_id", "prompt", "interleaved_outputs", "base_model_generations"),
            *("oracle_model_generations", "cheat_positions", "total_tokens_generated"),
            *("eval_config", "result", "ground_truth", "parsed_answer", "analysis"),
        ]
        assert "".join(each["output"] for each in line["interleaved_outputs"]) == line["result"]
        positions = line["cheat_positions"]
        assert positions == sorted(set(positions))
        assert len(positions) == len(line["oracle_model_generations"]) <= line["c"]
        for one in line["analysis"]["cheats"]:
            assert one["oracle_tokens"] <= 4
            assert one["entropy"] > 0.1


def checked(tmp_path, changed: str) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(changed, "utf-8")
    for case in expand(*load(path)):
        planned(case)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("[0, 1, 8]", "[0, -1]", "wrong.yaml:12 intervention.budget: -1 is not accepted"),
        ("length: 4", "length: -3", "wrong.yaml:7 intervention.length"),
        ("zoo/oracle", "zoo/smollm2", "wrong.yaml:6 intervention.model: zoo/smollm2 has other"),
        ("zoo/oracle", "zoo/orakel", "wrong.yaml:6 intervention.model: zoo/orakel is not"),
        ("{kind: entropy, above: 0.1}", "{kind: entropy}", "say either above or share"),
        ("{kind: entropy, above: 0.1}", "entropie", "wrong.yaml:9 intervention.trigger"),
        ("step: 4", "step: 0", "wrong.yaml:8 intervention.step"),
        (
            "  step: 4",
            f"  engine: {{name: served, base_url: {NOWHERE}}}\n  trigger: both_disagree",
            "reads the oracle's distributions, which served does not tell",
        ),
    ],
)
def test_bad_input_is_one_line_before_any_sample(tmp_path, old, new, told):
    changed = SPEC.replace(old, new)
    if "both_disagree" in new:
        changed = changed.replace("  trigger: {kind: entropy, above: 0.1}\n", "")
    with pytest.raises(SpecError) as error:
        checked(tmp_path, changed)
    assert told in str(error.value)
    assert "\n" not in str(error.value)
