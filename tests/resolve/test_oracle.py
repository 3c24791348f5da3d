"""Oracle help from a spec to its report, its store, its export, and its refusals."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest

import harness
from harness.errors import FieldError, SpecError
from harness.models.reference import locate
from harness.report.exports import export
from harness.resolve import oracle_thresholds
from harness.resolve.oracle import OracleResolution
from harness.resolve.oracle_thresholds import validation
from harness.runs.checks import planned
from harness.spec import expand, load
from harness.spec.engine_kind import engine_named

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
  intervention.budget: [inf, 0, 1, 8]
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
    assert [point.case for point in found.points] == [f"helped[budget={c}]" for c in (1, 8, "inf")]
    one, eight, endless = found.points
    assert 0 < one.share.value < eight.share.value <= endless.share.value < 1
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
    assert [path.name for path in files] == [f"helped[budget={c}].jsonl" for c in ("inf", 1, 8)]
    lines = [json.loads(line) for path in files for line in path.read_text("utf-8").splitlines()]
    assert len(lines) == 60
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
        assert len(positions) == len(line["oracle_model_generations"]) <= float(line["c"])
        for one in line["analysis"]["cheats"]:
            assert one["oracle_tokens"] <= 4
            assert one["entropy"] > 0.1


def evaluation_detail(number: int) -> dict:
    """A line of Meta's evaluation details of Llama, every field that the published files have."""
    return {
        "task_type": "Generative",
        "task_name": "math_cot",
        "subtask_name": "prealgebra",
        "input_question": f"Ben has {number} cups. Ben loses 2. How many cups does Ben have now?",
        "input_choice_list": None,
        "input_final_prompts": [f"<|start_header_id|>user<|end_header_id|>\n\n{number} cups"],
        "input_correct_responses": [str(number - 2), f"{number - 2}.0"],
        "output_prediction_text": [f"The answer is $\\boxed{{{number - 2}}}$."],
        "output_parsed_answer": str(number - 2),
        "output_choice_completions": None,
        "output_choice_negative_log_likelihoods": None,
        "output_metrics": {"acc": 1.0},
        "is_correct": True,
        "input_question_hash": f"{number:064x}",
        "input_final_prompts_hash": [f"{number:064x}"],
        "benchmark_label": "MATH (CoT)",
        "eval_config": {"max_gen_len": "5120", "num_few_shot": "0", "temperature": "0.0"},
    }


def test_the_original_s_data_goes_in_and_its_records_come_out(tmp_path):
    """Meta's evaluation details as the task; lines of the original's fields with their answers."""
    data = "".join(f"{json.dumps(evaluation_detail(each))}\n" for each in (5, 9, 12))
    (tmp_path / "details.jsonl").write_text(data, "utf-8")
    text = SPEC.replace("{name: micro_gsm8k, limit: 20}", "{name: math, path: details.jsonl}")
    (tmp_path / "spec.yaml").write_text(text.replace("[inf, 0, 1, 8]", "[0, 2]"), "utf-8")
    run = harness.run(tmp_path / "spec.yaml", directory=tmp_path / "one", store=tmp_path / "s")
    assert {case.status for case in run.report.cases} == {"complete"}
    assert {case.metrics["exact_match"].n for case in run.report.cases} == {3}
    (file,) = export(run, "guided", tmp_path / "out")
    lines = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    assert [line["ground_truth"] for line in lines] == ["3", "7", "10"]
    assert all(each["oracle_model_id"] == "zoo/oracle" for each in lines)
    assert any(line["cheat_positions"] for line in lines)


SHARED = SPEC.partition("axes:")[0].replace("above: 0.1", "share: 0.3")


def test_a_share_is_fitted_on_a_recorded_permutation_of_what_is_not_evaluated(tmp_path):
    """And a share of nothing is the model's own answer, though nothing is above any threshold."""
    text = SHARED + "axes: {intervention.trigger.share: [0, 0.3, 1]}\n"
    text += "dose: intervention.trigger.share\ngates: [neutral_equals_baseline]\n"
    (tmp_path / "spec.yaml").write_text(text, "utf-8")
    run = harness.run(tmp_path / "spec.yaml", directory=tmp_path / "one", store=tmp_path / "s")
    answers = run.samples.groupby("case")["completion"].agg(list)
    assert answers["helped[share=0]"] == answers["helped[baseline]"]
    (found,) = run.report.help
    assert [point.case for point in found.points] == ["helped[share=0.3]", "helped[share=1]"]
    some, every = found.points
    experiment, _ = load(tmp_path / "spec.yaml")
    assert 0.1 < some.share.value < 0.6
    assert (every.share.value, every.accuracy) == (1, found.strong)
    assert some.fitted.model_dump(exclude={"threshold", "of"}) == {
        "seed": 0,
        "samples": 64,
        "ids": validation(experiment, experiment.intervention.trigger)[2].ids,
    }
    again = harness.run(tmp_path / "spec.yaml", directory=tmp_path / "two", store=tmp_path / "s")
    assert again.report.help == run.report.help
    assert again.report.run.cost.model_loads == 0


def test_what_a_threshold_is_fitted_on_is_drawn_from_all_that_is_left(tmp_path):
    (tmp_path / "spec.yaml").write_text(SHARED, "utf-8")
    experiment, _ = load(tmp_path / "spec.yaml")
    task, drawn, split = validation(experiment, experiment.intervention.trigger)
    places = [task.samples.index(each) for each in drawn]
    assert len(set(places)) == len(places) == split.samples == 64
    assert split.of == len(task.samples) - 20
    assert min(places) >= 20  # the first twenty are evaluated
    assert places != sorted(places)
    quarter = (len(task.samples) - 20) / 4
    assert {int((place - 20) // quarter) for place in places} == {0, 1, 2, 3}
    ids = "\n".join(each.id for each in drawn)
    assert split.ids == hashlib.sha256(ids.encode()).hexdigest()
    assert validation(experiment, experiment.intervention.trigger)[1] == drawn


PROMISED = SPEC.partition("axes:")[0].replace("above: 0.1", "pgr: 0.4").replace("20}", "4}")


@pytest.fixture
def few(monkeypatch):
    """Fewer samples to show a promise on, and fewer thresholds to try."""
    monkeypatch.setattr(oracle_thresholds, "_SHOWN_ON", 32)
    monkeypatch.setattr(oracle_thresholds, "_ASKED", (0.1,))


@pytest.mark.usefixtures("few")
def test_a_promise_is_shown_on_other_samples_and_kept_in_the_store(tmp_path):
    (tmp_path / "spec.yaml").write_text(PROMISED, "utf-8")
    first = harness.run(tmp_path / "spec.yaml", directory=tmp_path / "one", store=tmp_path / "s")
    (found,) = first.report.help
    (point,) = found.points
    told = point.promise
    assert told.aim == 0.4
    assert told.samples == 32
    assert 0.4 <= told.at_least <= told.recovered
    assert point.fitted.samples == 32 + 16
    assert "promised" in repr(first)
    assert "entropy all" not in repr(first)  # one case is the whole curve
    again = harness.run(tmp_path / "spec.yaml", directory=tmp_path / "two", store=tmp_path / "s")
    assert again.report.help == first.report.help
    assert again.report.run.cost.model_loads == 0


@pytest.mark.usefixtures("few")
def test_what_cannot_be_promised_is_refused_in_a_sentence(tmp_path):
    text = PROMISED.replace("pgr: 0.4", "pgr: 0.9").replace(
        "  length: 4", "  length: 4\n  budget: 1"
    )
    (tmp_path / "spec.yaml").write_text(text, "utf-8")
    report = harness.run(tmp_path / "spec.yaml", directory=tmp_path / "one", store=tmp_path / "s")
    (_, case) = report.report.cases
    assert case.status == "failed"
    assert "no threshold of entropy is shown to recover 0.9 of the gap" in case.error
    assert "\n" not in case.error


def test_every_step_is_read_where_a_spec_asks(tmp_path):
    text = PROMISED.replace("pgr: 0.4", "above: 0.1").replace("limit: 4", "limit: 3")
    text = text.replace("  step: 4\n", "  step: 4\n  statistics: steps\n")
    (tmp_path / "spec.yaml").write_text(text, "utf-8")
    report = harness.run(tmp_path / "spec.yaml", directory=tmp_path / "one", store=tmp_path / "s")
    for traces in (each for each in report.samples["traces"] if isinstance(each, dict)):
        names = {name.partition(" ")[2] for name in traces if name.startswith("step ")}
        assert names == {
            *("entropy", "varentropy", "top_probability", "margin"),
            *("attention_entropy", "attention_varentropy", "agreement", "interaction"),
        }
        tokens = len(traces["author"])
        assert all(len(values) == tokens for values in traces.values())
        # Where it has asked, what it looked at sums to 1 with the prompt, and never to more.
        for number in range(1, int(max(traces["author"])) + 1):
            assert 0 <= sum(traces[f"looked {number}"]) <= 1 + 1e-5
    assert "helped-attention.png" in {path.name for path in (tmp_path / "one/plots").iterdir()}


def checked(tmp_path, changed: str) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(changed, "utf-8")
    for case in expand(*load(path)):
        planned(case)


def with_other_tokens(folder: Path) -> Path:
    """A copy of the oracle whose tokenizer has the numbers of two tokens exchanged."""
    shutil.copytree(locate("zoo/oracle"), folder)
    tokenizer = json.loads((folder / "tokenizer.json").read_text("utf-8"))
    ids = tokenizer["model"]["vocab"]
    ids["!"], ids["?"] = ids["?"], ids["!"]
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer), "utf-8")
    return folder


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("[inf, 0, 1, 8]", "[0, -1]", "wrong.yaml:12 intervention.budget: -1 is not accepted"),
        ("length: 4", "length: -3", "wrong.yaml:7 intervention.length"),
        ("zoo/oracle", "OTHER", "other has other tokens than zoo/base: "),
        ("zoo/oracle", "zoo/orakel", "wrong.yaml:6 intervention.model: zoo/orakel is not"),
        ("{kind: entropy, above: 0.1}", "{kind: entropy}", "say either above or share"),
        ("{kind: entropy, above: 0.1}", "entropie", "wrong.yaml:9 intervention.trigger"),
        ("step: 4", "step: 0", "wrong.yaml:8 intervention.step"),
        (
            "{kind: entropy, above: 0.1}",
            "{kind: random, start: 0.9, end: 0.1}",
            "wrong.yaml:9 intervention.trigger: start 0.9 is above end 0.1, and",
        ),
        (
            "  step: 4",
            f"  engine: {{name: served, base_url: {NOWHERE}}}\n  trigger: both_disagree",
            "reads the oracle's distributions, which served does not tell",
        ),
        (
            "{kind: entropy, above: 0.1}",
            "{kind: probe, file: nowhere.safetensors, layer: 0, above: 0.5}",
            "wrong.yaml:9 intervention.trigger.file: ",
        ),
        ("{kind: entropy, above: 0.1}", "{kind: entropy, pgr: 1.2}", "intervention.trigger.pgr"),
        ("limit: 20}", "limit: 160}", "is fitted on 46 samples or more"),
    ],
)
def test_bad_input_is_one_line_before_any_sample(tmp_path, old, new, told):
    changed = SPEC.replace(old, new)
    if "limit: 160" in new:
        changed = changed.replace("above: 0.1", "pgr: 0.5")
    if new == "OTHER":
        changed = changed.replace(new, str(with_other_tokens(tmp_path / "other")))
    if "both_disagree" in new:
        changed = changed.replace("  trigger: {kind: entropy, above: 0.1}\n", "")
    with pytest.raises(SpecError) as error:
        checked(tmp_path, changed)
    assert told in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("kind: entropy, above", "kind: attention_entropy, above", "attention, which vllm does"),
        ("step: 4", "step: 4\n  statistics: steps", "whole answers once more, and vllm gives no"),
    ],
)
def test_what_vllm_does_not_tell_is_refused_where_it_is_not_even_installed(
    tmp_path, monkeypatch, old, new, told
):
    kind = engine_named("vllm")
    monkeypatch.setattr(type(kind), "check_machine", lambda self, settings: None)
    (tmp_path / "spec.yaml").write_text(SPEC.replace(old, new) + "engine: {name: vllm}\n", "utf-8")
    experiment, _ = load(tmp_path / "spec.yaml")
    with pytest.raises(FieldError, match=told) as error:
        OracleResolution.check(experiment, experiment.intervention)
    assert "\n" not in str(error.value)


def test_a_server_may_stand_in_the_model_s_place(tmp_path):
    def read(model):
        (tmp_path / "spec.yaml").write_text(
            "name: url\nmodel: zoo/base\ntask: {name: micro_gsm8k}\n"
            f"intervention:\n  kind: oracle\n  model: {model}\n",
            "utf-8",
        )
        return load(tmp_path / "spec.yaml")[0].intervention

    found = read("http://127.0.0.1:1/v1#zoo/oracle")
    assert found.model == "zoo/oracle"
    assert (found.engine.name, found.engine.base_url) == ("served", "http://127.0.0.1:1/v1")
