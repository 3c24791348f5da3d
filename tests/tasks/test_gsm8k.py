import builtins
import json
from pathlib import Path

import pytest

from harness.errors import TaskError
from harness.tasks.base import Score
from harness.tasks.gsm8k import GSM8K

REAL = Path(__file__).parents[3] / "shared/data/gsm8k_test.jsonl"


def one_problem(tmp_path, **changes):
    file = tmp_path / "problems.jsonl"
    record = {"question": "How many?", "answer": "1+1=<<1+1=2>>2\n#### 1,002", **changes}
    file.write_text(json.dumps(record))
    return GSM8K.load(str(file))


@pytest.mark.skipif(not REAL.is_file(), reason=f"the GSM8K test split is not at {REAL}")
def test_every_real_reference_parses_and_is_right():
    task = GSM8K.load(str(REAL))
    scores = task.score([(s, "assisted", task.reference(s).text) for s in task.samples])
    assert task.size == 1319
    assert all(score == Score(correct=True, parsed=True, detail=score.detail) for score in scores)


@pytest.mark.parametrize(
    ("text", "correct", "parsed"),
    [
        ("#### 1002", True, True),
        ("It is $1,002.00.", True, True),
        ("#### 1003", False, True),
        ("I do not know", False, False),
    ],
)
def test_scores(tmp_path, text, correct, parsed):
    task = one_problem(tmp_path)
    (score,) = task.score([(task.samples[0], "assisted", text)])
    assert (score.correct, score.parsed) == (correct, parsed)
    rates = {"exact_match": correct, "parsed": parsed, "tool_call": 0}
    assert task.metrics([score, score]) == rates


def test_samples_are_numbered_and_prompted_in_every_style(tmp_path):
    task = one_problem(tmp_path)
    (sample,) = task.samples
    assert sample.id == "GSM8K/0"
    assert task.prompt(sample, "completion") == "Question: How many?\nAnswer:"
    assert task.prompt(sample, "agentic").messages[-1]["content"] == "How many?"
    assert task.reference(sample).text == sample.record["answer"]
    assert task.stop_strings("completion") == ("Question:",)
    assert task.stop_strings("assisted") == ()


@pytest.mark.parametrize("answer", ["none", "", "####", "#### many"])
def test_a_reference_without_a_number_is_refused_with_its_line(tmp_path, answer):
    file = tmp_path / "problems.jsonl"
    records = ({"question": "3+4?", "answer": each} for each in ("#### 7", answer))
    file.write_text("\n".join(map(json.dumps, records)))
    with pytest.raises(TaskError, match=r"problems\.jsonl:2: answer .* holds no number; expected"):
        GSM8K.load(str(file))


def test_without_the_hub_package_the_error_names_both_remedies(monkeypatch):
    real = builtins.__import__

    def without_datasets(name, *arguments, **options):
        if name == "datasets":
            raise ImportError(name)
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without_datasets)
    with pytest.raises(TaskError, match=r"pytest-titrate\[hub\].*task\.path"):
        GSM8K.load()


@pytest.mark.parametrize("answer", ["#### 1002", "no number", "#### 3"])
def test_tool_calls_are_counted_beside_the_numbers(tmp_path, answer):
    task = one_problem(tmp_path)
    sample = task.samples[0]
    plain, called = task.score(
        [(sample, "assisted", answer), (sample, "assisted", f"<tool_call>{answer}")]
    )
    assert (plain.tool_call, called.tool_call) == (False, True)
    assert (plain.correct, plain.parsed) == (called.correct, called.parsed)
    assert task.metrics([plain, called])["tool_call"] == 0.5
