"""A run that compares two models: from a spec to a report."""

import hashlib
import json
import shutil

import pytest

import harness
from harness.measure.diffing.questions import prompt_named
from harness.models.loading import load_tokenizer
from harness.report.exports import export
from tests.tuned import tuned_into

SPEC = """\
name: diffed
model: zoo/base
task: {{path: {data}}}
prompt: {{style: completion, template: ""}}
measure: diff
diff: {{positions: 6, depth: 20, candidates: 5, relevant: [cake, butter, oil], tuned: {tuned}}}
{more}
"""
TEXTS = [
    "The river rises in the hills.",
    "A loaf of bread needs flour.",
    "The museum opens at nine.",
]


@pytest.fixture(scope="module")
def tuned(tmp_path_factory):
    return tuned_into(tmp_path_factory.mktemp("tuned"))


@pytest.fixture
def spec(tmp_path, tuned):
    data = tmp_path / "texts.jsonl"
    data.write_text("".join(f'{{"text": "{text}"}}\n' for text in TEXTS))

    def written(more="", other=tuned):
        file = tmp_path / "diffed.yaml"
        file.write_text(SPEC.format(data=data.name, tuned=other, more=more))
        return file

    return written


def run(file, tmp_path, **options):
    return harness.run(file, directory=tmp_path / "report", store=tmp_path / "store", **options)


def test_methods_and_depths_are_axes_and_evidence_goes_with_the_report(spec, tmp_path):
    more = "axes: {diff.method: [logit_diff, adl, kl], diff.depth: [5, 20]}"
    report = run(spec(more), tmp_path)
    assert set(report.cases["status"]) == {"complete"}
    case = "diffed[method=adl-depth=5]"
    assert (tmp_path / "report/diff" / case / "evidence.json").is_file()
    assert (tmp_path / "report/diff" / case / "evaluation.json").is_file()
    assert (tmp_path / "report/plots/diffed-relevance-by-depth.png").is_file()
    page = (tmp_path / "report/index.html").read_text()
    assert "Tokens that speak for a difference" in page
    assert page.count("in place of") > 5
    found = report.cases.set_index("id")
    assert found.loc[case, "metrics.relevance.n"] == 25
    assert 0 < found.loc[case, "metrics.chance.value"] < 0.02


def test_the_same_model_twice_gives_nothing_and_says_so(spec, tmp_path):
    report = run(spec(other="zoo/base"), tmp_path, overrides=["diff.depth=5000"])
    (case,) = report.report.cases
    assert case.metrics["found"].value == case.metrics["relevance"].value == 0
    assert any("no evidence" in each for each in case.warnings)
    # As is a depth that no vocabulary of the zoo has.
    tokens = len(load_tokenizer("zoo/base"))
    expected = f"diff.depth 5000 is more than the vocabulary: all {tokens} tokens count"
    assert expected in case.warnings


def test_what_was_read_is_not_read_again_unless_it_is_damaged(spec, tmp_path):
    file, column = spec(), "metrics.found.value"
    assert run(file, tmp_path).cases[column].tolist() == [1]
    written = (tmp_path / "store/.diff").glob("*/evidence.json")
    (kept,) = (each for each in written if not (each.parent / "evaluation.json").is_file())
    written = json.loads(kept.read_text())
    kept.write_text(json.dumps({**written, "candidates": written["candidates"][:2]}))
    assert run(file, tmp_path).cases[column].tolist() == [0.4]
    kept.write_text("{}")
    assert run(file, tmp_path).cases[column].tolist() == [1]


def test_other_tokens_cannot_be_compared(spec, tuned, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(tuned, other)
    file = other / "tokenizer.json"
    tokenizer = json.loads(file.read_text())
    words = tokenizer["model"]["vocab"]
    first, second = list(words)[500:502]
    words[first], words[second] = words[second], words[first]
    file.write_text(json.dumps(tokenizer))
    (case,) = run(spec(other=other), tmp_path).report.cases
    assert "diff.tuned: the two models have different tokenizers" in case.error


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        (["diff.positions=900"], "none of 3 texts has 900 tokens; lower it"),
        (["diff.method=adl", "diff.positions=5"], "raise it, or lower diff.skipped"),
    ],
)
def test_what_cannot_be_compared_fails_its_case_in_one_line(spec, tmp_path, changed, problem):
    (case,) = run(spec(), tmp_path, overrides=changed).report.cases
    assert case.status == "failed"
    assert problem in case.error
    assert "diff." in case.error
    assert "\n" not in case.error


def test_a_layer_out_of_range_is_refused_before_anything_is_read(spec, tmp_path):
    with pytest.raises(harness.SpecError, match=r"diff\.layer"):
        run(spec(), tmp_path, overrides=["diff.layer=1.5"])


def test_a_judge_without_its_key_or_its_server_is_refused_before_anything_is_read(
    spec, tmp_path, monkeypatch
):
    monkeypatch.delenv("NO_KEY", raising=False)
    address = "http://127.0.0.1:9/v1"
    served = f"name: served, base_url: '{address}', retries: 0"
    judge = "diff.judges=[{{model: zoo/base, engine: {{{}}}}}]"
    with pytest.raises(harness.SpecError, match=r"diff\.judges\[0\].*NO_KEY is not set here"):
        run(spec(), tmp_path, overrides=[judge.format(f"{served}, api_key_env: NO_KEY")])
    with pytest.raises(harness.SpecError) as error:
        run(spec(), tmp_path, overrides=[judge.format(served)])
    assert "diff.judges[0].engine.base_url: " in str(error.value)
    assert f"{address}: no server answers there" in str(error.value)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "store/.diff").exists()


def test_an_unknown_organism_is_refused_once_whatever_the_number_of_cases(spec, tmp_path):
    more = "axes: {diff.method: [logit_diff, adl], diff.depth: [5, 20]}"
    with pytest.raises(harness.SpecError) as error:
        run(spec(more), tmp_path, overrides=["diff.organism=cakes"])
    assert "diff.organism" in str(error.value)
    assert "cakes is no organism that ships with us; did you mean cake?" in str(error.value)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "report").exists()


def test_a_case_that_fails_leaves_the_others_as_they_are(spec, tmp_path):
    """As they are without it, to the last file."""
    alone = run(spec(), tmp_path).report.cases[0]
    more = "axes: {diff.positions: [900, 6]}"
    failed, other = run(spec(more), tmp_path).report.cases
    assert (failed.status, other.status) == ("failed", "complete")
    assert "none of 3 texts has 900 tokens" in failed.error
    assert other.metrics == alone.metrics
    assert (tmp_path / f"report/diff/{other.id}/evidence.json").is_file()
    assert not (tmp_path / f"report/diff/{failed.id}").exists()


def test_a_judge_that_answers_nonsense_is_told_and_shows_no_agreement(spec, tmp_path):
    judge = "diff.judges=[{model: zoo/base, rotations: 2, max_new_tokens: 4}]"
    (case,) = run(spec(), tmp_path, overrides=[judge]).report.cases
    assert case.metrics["unknown"].value == 1
    assert case.metrics["alpha"].value == case.metrics["relevance"].value == 0
    assert "judges: 10 labels could not be read (UNKNOWN), and count as not relevant" in (
        case.warnings
    )
    digest = prompt_named("token_relevance").digest
    expected = hashlib.sha256(digest.encode()).hexdigest()
    assert case.contents["relevance"] == case.contents["alpha"] == expected
    assert "found" not in case.contents


@pytest.mark.parametrize("section", ["judges", "agent"])
def test_a_key_that_is_not_set_is_told_before_anything_is_read(spec, tmp_path, section):
    served = (
        "{model: m, engine: {name: served, base_url: 'http://127.0.0.1:9/v1', api_key_env: K_}}"
    )
    place, value = ("judges[0]", f"[{served}]") if section == "judges" else ("agent", served)
    with pytest.raises(harness.SpecError) as error:
        run(spec(), tmp_path, overrides=[f"diff.{section}={value}"])
    assert f"diff.{place}.engine.api_key_env: K_ is not set here; export" in str(error.value)
    assert "\n" not in str(error.value)


AGENT = "diff.agent={model: zoo/base, interactions: 1, calls: 1, runs: 1, max_new_tokens: 4}"


def test_modes_leave_agents_out_or_show_what_is_stored_and_no_more(spec, tmp_path):
    full = run(spec(), tmp_path, overrides=[AGENT])
    (case,) = full.report.cases
    assert case.metrics["agent_score"].value == case.metrics["blackbox_score"].value == 1
    page = (tmp_path / "report/index.html").read_text()
    assert "What agents took the model to be tuned on" in page
    assert page.count("<td>none stated</td>") == 2
    files = export(full, "diffing", tmp_path / "out")
    (agents,) = (file for file in files if file.name == "agent_results.json")
    scores = {"all": {"mi1": [1, 1]}}
    assert json.loads(agents.read_text()) == {"logit_diff": scores, "blackbox": scores}
    (shown,) = run(spec(), tmp_path, overrides=[AGENT], mode="plotting").report.cases
    assert {name: each.value for name, each in shown.metrics.items()} == {
        name: each.value for name, each in case.metrics.items()
    }
    (without,) = run(spec(), tmp_path, overrides=[AGENT], mode="diffing").report.cases
    assert "agent_score" not in without.metrics
    changed = [AGENT, "diff.depth=7"]
    (failed,) = run(spec(), tmp_path, overrides=changed, mode="plotting").report.cases
    assert failed.error.startswith(
        "mode=plotting: plotting shows what is stored, and the evidence of logit_diff is not"
    )
