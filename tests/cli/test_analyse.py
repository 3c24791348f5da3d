"""`titrate analyse`: statistics of finished answers, and how well they tell what is wrong."""

from __future__ import annotations

import json
from math import log

import pytest

from harness.cli.main import main
from harness.measure.oracle_answers import NAMES
from harness.models.loading import load

GUIDED = {
    "base_model_id": "zoo/base",
    "prompt": "Ben has 11 cups.",
    "interleaved_outputs": [
        {"output": " Ben has", "model_type": "base"},
        {"output": " 12", "model_type": "oracle"},
        {"output": " cups.", "model_type": "base"},
    ],
    "cheat_positions": [2],
    "total_tokens_generated": 5,
    "parsed_answer": "12",
    "ground_truth": "11",
}
STEP = {"chosen_completion": None, "human_completion": {"text": "So 3."}}
RATED = {
    "question": {"problem": "What is 1 + 2?"},
    "label": {
        "steps": [
            {
                **STEP,
                "completions": [
                    {"text": "It is 3.", "rating": 1},
                    {"text": "xyzzy ~ frob.", "rating": -1},
                    {"text": "Skipped.", "rating": None},
                ],
            },
            {"completions": [{"text": "Done.", "rating": 0}], "chosen_completion": None},
            {"completions": [{"text": "Never read.", "rating": 1}], "chosen_completion": 0},
        ]
    },
}


def analysed(tmp_path, *records, **options):
    source, target = tmp_path / "answers.jsonl", tmp_path / "analysed.jsonl"
    source.write_text("".join(f"{json.dumps(each)}\n" for each in records), "utf-8")
    more = [part for name, value in options.items() for part in (f"--{name}", value)]
    status = main(["analyse", str(source), "-o", str(target), *more])
    if status:
        return status
    return [json.loads(line) for line in target.read_text("utf-8").splitlines()]


def test_a_consultation_has_the_original_s_fields_of_the_base_s_next_token(tmp_path, capsys):
    right = {**GUIDED, "parsed_answer": "11"}
    wrong, good = analysed(tmp_path, GUIDED, right)
    (own,) = wrong["analysis"]["cheats"]
    assert (wrong["analysis"]["acc"], good["analysis"]["acc"]) == (False, True)
    assert own["position"] == 2
    assert own["normalized_position"] == 0.4
    assert set(own) >= {*NAMES.values(), "oracle_tokens", "oracle_tokens_normalized"}
    model = load("zoo/base", device="cpu")
    ids = model.tokenizer("Ben has 11 cups. Ben has", return_tensors="pt", add_special_tokens=False)
    scores = model.model(**ids).logits[0, -1].detach().double().log_softmax(dim=-1)
    bits = -float((scores.exp() * scores).sum()) / log(2)
    assert own["entropy"] == pytest.approx(bits, abs=1e-4)
    assert own["top_prob"] == pytest.approx(float(scores.max().exp()), abs=1e-5)
    told = capsys.readouterr().out
    assert told.startswith("2 consultations of 2 records, read by zoo/base")
    assert "area under the ROC curve for wrong answers" in told
    assert "0.50" in told  # the same numbers tell nothing
    analysed(tmp_path, right)
    assert "no area: none are wrong answers" in capsys.readouterr().out


def test_rated_steps_are_read_behind_those_that_were_chosen(tmp_path, capsys):
    (record,) = analysed(tmp_path, RATED, model="zoo/base")
    places = [(each["step"], each["completion"], each["rating"]) for each in record["analysis"]]
    assert places == [(0, 0, 1), (0, 1, -1), (1, 0, 0)]
    assert len({each["entropy"] for each in record["analysis"]}) == 3
    assert "area under the ROC curve for steps rated -1" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("record", "told"),
    [
        ({"prompt": "x"}, "answers.jsonl:1: is no line of guided inference"),
        (RATED, "--model says who reads it; the file names none"),
    ],
)
def test_what_cannot_be_read_is_one_line(tmp_path, capsys, record, told):
    assert analysed(tmp_path, record) == 2
    said = capsys.readouterr().err
    assert told in said
    assert said.count("\n") == 1
