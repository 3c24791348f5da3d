"""What each kind of answer finds right, and which records it refuses."""

import pytest

from harness import registry
from harness.tasks.answers import pattern
from harness.tasks.base import Sample

TRICK = {"prompt": "?", "choices": ["trout", "whale", "blue whale"], "answer": "B"}


def kept(kind, record):
    return registry.answers.get(kind).kept(record, "x/0")


def verdict(kind, record, text):
    record = kept(kind, record)
    found = registry.answers.get(kind)
    assert found.fault(record) is None
    (score,) = found.score([(Sample("x/0", record), "assisted", text)])
    return score


@pytest.mark.parametrize(
    ("kind", "record", "text", "expected"),
    [
        ("exact", {"answer": "Paris"}, " paris.\n", (True, True)),
        ("exact", {"answer": "Paris"}, "**Paris**", (True, True)),
        (
            "exact",
            {"answer": "Paris"},
            "I think so.\nThe answer is \u201cParis\u201d.",
            (True, True),
        ),
        ("exact", {"answer": "Paris"}, "Answer: **Paris**\nIt is old.", (True, True)),
        ("exact", {"answer": "Paris"}, "Paris, France", (False, True)),
        ("exact", {"answer": ["Paris", "Paris, France"]}, "Paris, France", (True, True)),
        ("exact", {"answer": "The answer is 42"}, "The answer is 42", (True, True)),
        ("exact", {"answer": 7}, "7", (True, True)),
        ("exact", {"answer": "Paris"}, "<think>Paris</think>", (False, False)),
        ("number", {"answer": 1200}, "So $1,200.00.", (True, True)),
        ("number", {"answer": "6*7=42\n#### 42"}, "42 apples", (True, True)),
        ("number", {"answer": 0.5}, "1/2", (True, True)),
        ("number", {"answer": 5}, "none", (False, False)),
        ("regex", {"answer": r"(?i)\b12(th)? may\b"}, "On 12 May 1899", (True, True)),
        ("regex", {"answer": r"^no"}, "Well, no", (False, True)),
        ("regex", {"answer": r"yes"}, "", (False, False)),
        ("choice", TRICK, "B", (True, True)),
        ("choice", TRICK, "(b)", (True, True)),
        ("choice", TRICK, "B. whale", (True, True)),
        ("choice", TRICK, "**B)** because it breathes.", (True, True)),
        ("choice", TRICK, "Let me see.\nThe answer is B.", (True, True)),
        ("choice", TRICK, "\\boxed{\\text{B}}", (True, True)),
        ("choice", TRICK, "Whale", (True, True)),
        ("choice", TRICK, "It is the whale, of course.", (True, True)),
        ("choice", TRICK, "It is the blue whale.", (False, True)),
        ("choice", TRICK, "C", (False, True)),
        ("choice", TRICK, "A whale", (True, True)),
        ("choice", TRICK, "A trout or a whale", (False, False)),
        ("choice", TRICK, "I do not know", (False, False)),
    ],
)
def test_verdicts(kind, record, text, expected):
    score = verdict(kind, record, text)
    assert (score.correct, score.parsed) == expected, score.detail


@pytest.mark.parametrize(
    ("choices", "answer", "gold"),
    [
        (["a", "b"], "B", 1),
        (["a", "b"], "b", 1),
        (["a", "b"], 1, 1),
        (["a", "b"], "1", 1),
        (["1", "2"], "2", 1),
        ('["one", "two"]', "two", 1),
        ({"text": ["red", "blue"], "label": ["1", "2"]}, "2", 1),
        ({"text": ["red", "blue"], "label": ["A", "B"]}, 0, 0),
    ],
)
def test_the_right_choice_is_named_by_letter_text_or_position(choices, answer, gold):
    kind = registry.answers.get("choice")
    record = kept("choice", {"choices": choices, "answer": answer})
    assert kind.gold(record) == gold
    around = [*kind.distractors(record)]
    around.insert(gold, kind.reference(record).text)
    assert around == record["choices"]


def test_own_fields_keep_what_they_say():
    record = kept("choice", {**TRICK, "gold": "mine", "labels": "mine"})
    assert (record["gold"], record["labels"]) == ("mine", "mine")
    assert registry.answers.get("choice").gold(record) == 1


@pytest.mark.parametrize(
    ("kind", "record", "expected"),
    [
        ("exact", {"answer": {"a": 1}}, "is not a text, nor a list"),
        ("number", {"answer": "many"}, "answer 'many' holds no number"),
        ("number", {"answer": True}, "answer True is not a number"),
        ("regex", {"answer": "(a"}, "answer '(a' is no regular expression: missing )"),
        ("choice", {"choices": ["a", "b"], "answer": "c"}, "answer 'c' is none of the choices"),
        ("choice", {"choices": ["a", "b"], "answer": 2}, "answer '2' is none of the choices"),
        ("choice", {"choices": ["a", "b"], "answer": True}, "answer 'True' is none of the choices"),
        ("choice", {"choices": ["1", "2"], "answer": 1}, "answer 1 is both '1' and '2'"),
        ("choice", {"choices": ["a"], "answer": 0}, "is not a choice; give two at least"),
        ("choice", {"choices": ["a", "a"], "answer": 0}, "choices have 'a' twice"),
        ("choice", {"choices": "a, b", "answer": 0}, "choices 'a, b' is not a list; write"),
        ("choice", {"choices": [1, 2], "answer": 0}, "choices [1, 2] is not a list of texts"),
        ("math", {"answer": "$ $"}, "answer '$ $' is empty"),
        ("code", {"prompt": "def f():\n", "test": "", "entry_point": "f("}, "'f(' is not the name"),
        ("code", {"prompt": 1, "test": "", "entry_point": "f"}, "no text in prompt"),
    ],
)
def test_a_record_that_a_kind_cannot_score_is_refused_in_words(kind, record, expected):
    try:
        problem = registry.answers.get(kind).fault(kept(kind, record))
    except ValueError as error:
        problem = str(error)
    assert expected in problem


def test_an_expression_that_takes_too_long_is_not_settled(monkeypatch):
    monkeypatch.setattr(pattern, "SECONDS", 0.02)
    score = verdict("regex", {"answer": "(a|aa)+$"}, "a" * 60 + "!")
    assert (score.correct, score.parsed, score.settled) == (False, False, False)


@pytest.mark.parametrize("body", ["    return a + b\n", "    return a - b\n"])
def test_code_runs_in_the_sandbox_against_its_tests(body):
    record = {
        "prompt": "def add(a, b):\n",
        "entry_point": "add",
        "test": "def check(candidate):\n    assert candidate(1, 2) == 3\n",
    }
    record = kept("code", record)
    sample = Sample("mine/0", record)
    kind = registry.answers.get("code").ready([sample], unsafe_code=False)
    assert kind.isolated_by
    answers = [(sample, "completion", body), (sample, "assisted", f"```python\n{body}```")]
    assert [score.correct for score in kind.score(answers)] == ["+" in body] * 2
    assert kind.reference(record) is None
    assert kind.prompt(record, "completion") == record["prompt"]
