from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import FieldError, TaskError
from harness.interventions.dac.section import PairProperty
from harness.interventions.steering.section import PairVector
from harness.resolve.contrast_pairs import check_pairs, pairs_for
from harness.spec import Experiment
from harness.tasks.conversations import final_number

PROBLEMS = [
    {
        "question": f"Ann has {n} pens and buys {n + 1}. How many?",
        "answer": f"So {n}+{n + 1}.\n#### {2 * n + 1}",
    }
    for n in range(1, 9)
]


@pytest.fixture
def files(tmp_path):
    def written(name, rows):
        (tmp_path / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
        return str(tmp_path / name)

    return written("train.jsonl", PROBLEMS[:5]), written("test.jsonl", PROBLEMS[5:])


def experiment(task, path=None, style="completion"):
    content = {"name": "x", "model": "zoo/moe", "task": {"name": task, "path": path}}
    return Experiment.model_validate(content | {"prompt": {"style": style}})


def test_right_and_wrong_answers_of_a_file_of_gsm8k(files):
    train, test = files
    vector = PairVector(pairs="answers", data=train, samples=3)
    pairs = pairs_for(experiment("gsm8k", test), vector)
    assert len(pairs) == 3
    for pair, problem in zip(pairs, PROBLEMS, strict=False):
        assert (
            pair.positive.prompt
            == pair.negative.prompt
            == f"Question: {problem['question']}\nAnswer:"
        )
        assert pair.positive.answer == problem["answer"]
        assert final_number(pair.negative.answer) != final_number(problem["answer"])


def test_the_two_styles_of_gsm8k(files):
    train, test = files
    pairs = pairs_for(experiment("gsm8k", test), PairVector(pairs="styles", data=train))
    assert len(pairs) == 5
    assert pairs[0].positive.prompt.tools
    assert not pairs[0].negative.prompt.tools


def test_problems_that_are_asked_are_never_trained_on(files, tmp_path):
    _, test = files
    leaking = [
        *PROBLEMS[:2],
        {**PROBLEMS[6], "question": PROBLEMS[6]["question"].replace(" ", "  ")},
    ]
    (tmp_path / "leak.jsonl").write_text("".join(json.dumps(row) + "\n" for row in leaking))
    vector = PairVector(pairs="answers", data=str(tmp_path / "leak.jsonl"))
    with pytest.raises(TaskError, match=r"leak.jsonl: problem 3 is GSM8K/1 of the evaluation"):
        pairs_for(experiment("gsm8k", test), vector)
    first = PairVector(pairs="answers", data=str(tmp_path / "leak.jsonl"), samples=2)
    assert len(pairs_for(experiment("gsm8k", test), first)) == 2


def test_humaneval_has_no_training_problems_and_gets_generated_heads():
    pairs = pairs_for(experiment("humaneval", style="assisted"), PairVector(pairs="styles"))
    generated = pairs_for(
        experiment("micro_humaneval", style="assisted"), PairVector(pairs="styles")
    )
    assert pairs == generated
    assert len(pairs) == 64


def test_data_is_for_built_in_pairs(files):
    train, test = files
    with pytest.raises(
        FieldError, match=r"intervention.vector.pairs: .*data is for built-in pairs"
    ):
        check_pairs(
            experiment("gsm8k", test),
            PairVector(pairs=train, data=train),
            "last",
            "intervention.vector",
        )


@given(
    st.sampled_from(["micro_gsm8k", "micro_humaneval"]),
    st.sampled_from(["styles", "answers"]),
    st.sampled_from(["assisted", "completion"]),
    st.integers(1, 30),
    st.integers(0, 30),
)
def test_fewer_pairs_are_the_first_of_more(task, kind, style, fewer, others):
    kind = "styles" if task == "micro_humaneval" else kind
    asking = experiment(task, style=style)
    first = pairs_for(asking, PairVector(pairs=kind, samples=fewer))
    more = pairs_for(asking, PairVector(pairs=kind, samples=fewer + others))
    assert first == more[:fewer]
    assert len(more) == fewer + others
    assert pairs_for(asking, PairProperty(pairs=kind, samples=fewer)) == first
