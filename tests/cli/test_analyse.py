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


def prm800k(problem, answer, steps, finish="solution"):
    """A line of the published file, every field of it: each step its completions with ratings, the
    one that the solution went on with, or a person's own.
    """
    return {
        "labeler": "e90a38f3-3135-4465-87af-3e6322e3d772",
        "timestamp": "2022-07-17T16:56:51.323252",
        "generation": None,
        "is_quality_control_question": False,
        "is_initial_screening_question": False,
        "question": {
            "problem": problem,
            "ground_truth_solution": f"It is \\boxed{{{answer}}}.",
            "ground_truth_answer": answer,
        },
        "label": {"steps": steps, "total_time": 278270, "finish_reason": finish},
    }


def rated(*completions, chosen=0, human=None):
    return {
        "completions": [
            {"text": text, "rating": rating, "flagged": False} for text, rating in completions
        ],
        "human_completion": human,
        "chosen_completion": chosen,
    }


def test_a_file_of_rated_solutions_is_read_to_areas_with_intervals(tmp_path, capsys):
    """Ten of them: good steps are those that zoo/oracle was trained on, bad ones no English."""
    records = []
    for n in range(3, 13):
        first = rated((f"Ben has {n}-2=<<{n}-2={n - 2}>>{n - 2} cups.", 1), ("Qx zq vv jjk.", -1))
        person = {"text": f"Now Ben has {n - 2} cups.", "rating": None, "source": "human"}
        second = rated(("Wk wk ~~ xq.", -1), chosen=None, human=person)
        last = rated((f"#### {n - 2}", 0), (f"#### {n}zzq ~ %", -1), chosen=0)
        steps = [first, second, last] if n % 2 else [first, last]
        records.append(prm800k(f"Ben has {n} cups. Ben loses 2.", str(n - 2), steps))
    records.append(prm800k("Ben has 9 cups.", "9", [rated(("Hm.", None))], finish="give_up"))
    found = analysed(tmp_path, *records, model="zoo/oracle")
    ratings = [[each["rating"] for each in record["analysis"]] for record in found]
    assert ratings[0] == [1, -1, -1, 0, -1]
    assert ratings[1] == [1, -1, 0, -1]
    assert ratings[-1] == []
    assert found[0].items() > records[0].items()  # whatever else a record has stays
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "45 steps of 11 records, read by zoo/oracle"
    areas = {line.split()[0]: line.split()[2:] for line in told[2:]}
    assert set(areas) == set(NAMES.values())
    # No English is less probable at every token; entropies are larger behind it.
    assert float(areas["top_prob"][0]) < 0.5 < float(areas["entropy"][0])
    assert areas["entropy"][1].startswith("[")


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
