"""Cases that put the prompts of a file of aligned pairs."""

from __future__ import annotations

import json

import pytest

from harness.errors import FieldError, SpecError
from harness.resolve.pair_files import check_tokenizer
from harness.runs.plan import Plan
from harness.tasks.by_name import load
from harness.tasks.pairs.align import Aligner
from harness.tasks.pairs.files import write_tokens
from harness.tasks.pairs.making import pairs_from_task
from tests.runs.small import cases, start


@pytest.fixture
def pairs(loaded, tmp_path):
    """The first three micro problems, aligned; the second one is not in order."""
    task = load("micro_humaneval", limit=3)
    aligner = Aligner(loaded.tokenizer)
    aligned = {
        pair.key: aligner.align(pair) for pair in pairs_from_task(task, loaded.tokenizer).pairs
    }
    bad = {"aligned_ok": False, "aligned_errors": ("user_prompt: not in the agentic text",)}
    aligned["microhumaneval_1"] = aligned["microhumaneval_1"].model_copy(update=bad)
    path = tmp_path / "pair_tokens.json"
    write_tokens(aligned, path)
    return path


def case_of(pairs, style, **fields):
    prompt = {"style": style, "pairs": str(pairs)}
    (case,) = cases(prompt=prompt, intervention=None, **fields)
    return case


def test_prompts_of_aligned_pairs_are_the_tasks_own(loaded, pairs):
    for style in ("agentic", "assisted"):
        (plain,) = cases(prompt={"style": style}, intervention=None)
        own, other = Plan(loaded.tokenizer), Plan(loaded.tokenizer)
        own.add(plain, None)
        other.add(case_of(pairs, style), None)
        expected = [request for request in own.addresses if request.sample != "MicroHumanEval/1"]
        found = [request for request in other.addresses if request.sample != "MicroHumanEval/1"]
        assert found == expected


def test_an_assisted_sample_that_is_not_aligned_is_refused_and_wrong(loaded, pairs):
    case = case_of(pairs, "assisted")
    result = start(loaded, [case]).result(case)
    assert result.status == "complete"
    assert result.scored == 3
    draw = result.draws[1]
    expected = "MicroHumanEval/1: not aligned: user_prompt: not in the agentic text"
    assert draw.completion.error == expected
    assert draw.completion.finish_reason == "error"
    assert draw.prompt == ""
    assert not draw.score.correct
    assert result.sample_metrics["pass@1"]["MicroHumanEval/1"] == 0
    assert result.warnings[0] == f"1 of 3 requests were refused and count as wrong: {expected}"


def test_an_agentic_sample_does_not_depend_on_the_alignment(loaded, pairs):
    case = case_of(pairs, "agentic")
    result = start(loaded, [case]).result(case)
    assert [draw.completion.error for draw in result.draws] == [None] * 3


def test_a_sample_without_a_pair_or_a_fence_is_refused_in_both_styles(loaded, pairs):
    document = json.loads(pairs.read_text())
    del document["microhumaneval_0"]
    document["microhumaneval_2"]["canonical_positions"]["fence_start"] = -1
    other = pairs.with_name("other.json")
    other.write_text(json.dumps(document))
    case = case_of(other, "agentic")
    result = start(loaded, [case]).result(case)
    assert [draw.completion.error for draw in result.draws] == [
        "MicroHumanEval/0: not in the file of aligned pairs",
        None,
        "MicroHumanEval/2: its pair has no fenced answer",
    ]


def test_usage_is_measured_on_the_pairs(loaded, pairs):
    """Two of three samples are aligned: the ordering is the one that they alone give."""
    prompt = {"style": "assisted", "pairs": str(pairs)}
    mask = {"kind": "router_mask", "points": {"usage": "avg_all_assisted"}, "count": 6}
    (with_pairs,) = cases(prompt=prompt, intervention=mask)
    (without,) = cases(prompt={"style": "assisted"}, intervention=mask)
    results = [
        start(loaded, [case]).result(case).intervention.points for case in (with_pairs, without)
    ]
    assert results[0] != results[1]


# What is refused ----------------------------------------------------------------------------------


def test_a_file_that_is_no_pairs_is_an_error_at_collection(tmp_path):
    path = tmp_path / "pair_tokens.json"
    path.write_text("{}")
    with pytest.raises(SpecError, match=r"prompt\.pairs: .*pair_tokens\.json: is not an object of"):
        case_of(path, "agentic")


def test_bare_text_is_not_a_style_of_pairs(pairs):
    with pytest.raises(SpecError, match=r"prompt\.style: completion is not a style of pairs"):
        case_of(pairs, "completion")


def test_pairs_of_another_tokenizer_are_refused_whole(loaded, pairs):
    document = json.loads(pairs.read_text())
    document["microhumaneval_2"]["canonical_non_ws_tokens"][0] = "other"
    other = pairs.with_name("other.json")
    other.write_text(json.dumps(document))
    case = case_of(other, "agentic")
    with pytest.raises(FieldError, match=r"microhumaneval_2 is 'other' there but not for zoo/moe"):
        check_tokenizer(case.experiment, loaded.tokenizer)
    result = start(loaded, [case]).result(case)
    assert result.status == "failed"
    assert "align the pairs with --model zoo/moe" in result.error


@pytest.mark.parametrize("token", [-1, 10**7])
@pytest.mark.parametrize("ids", ["agentic_ids", "assisted_aligned_ids"])
def test_pairs_with_a_token_that_the_model_lacks_are_refused_whole(loaded, pairs, ids, token):
    document = json.loads(pairs.read_text())
    pair = document["microhumaneval_2"]
    pair[ids][pair["assisted_aligned_attention_mask"].index(1)] = token
    other = pairs.with_name("other.json")
    other.write_text(json.dumps(document))
    case = case_of(other, "agentic")
    with pytest.raises(FieldError, match=rf"microhumaneval_2 has token {token}, but zoo/moe knows"):
        check_tokenizer(case.experiment, loaded.tokenizer)
