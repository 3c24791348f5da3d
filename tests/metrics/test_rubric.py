"""Rubrics: what a file must say, what its template sees, and how answers are read."""

from __future__ import annotations

import pytest

from harness.errors import FieldError, MetricError
from harness.metrics.entry import Answer, Seen
from harness.metrics.rubric import Rubric

SCALE = """\
---
version: 1
scale: {least: 1, greatest: 5}
answer: 'SCORE:\\s*([\\d.]+)'
system: You are a judge.
wordings: [helpful, useful]
---
How {{ wording }} is {{ completion }} for {{ record.question }}?
From {{ scale.least }} to {{ scale.greatest }}.
"""
OPTIONS = """\
---
version: two
options: {good: 1, bad: 0, ugly: -1}
answer: 'VERDICT: (\\w+)'
---
{{ completion }}: {{ options | join(' or ') }}?
"""
SEEN = Seen("s", {"question": "why {{ 1 }}"}, "prompt")


@pytest.fixture
def rubric(tmp_path):
    def read(text):
        (tmp_path / "rubric.md").write_text(text)
        return Rubric.of(str(tmp_path / "rubric.md"))

    return read


def asked(rubric, rotation, text="because {{ x }}"):
    return [
        each["content"] for each in rubric.conversation(SEEN, Answer((), text), rotation).messages
    ]


def test_a_scale_is_asked_in_its_wordings(rubric):
    judge = rubric(SCALE)
    assert (judge.rotations, judge.level) == (2, "interval")
    for rotation, word in enumerate(["helpful", "useful"]):
        system, text = asked(judge, rotation)
        assert system == "You are a judge."
        assert text == f"How {word} is because {{{{ x }}}} for why {{{{ 1 }}}}?\nFrom 1.0 to 5.0."


def test_options_are_asked_in_every_order_that_a_rotation_gives(rubric):
    judge = rubric(OPTIONS)
    assert (judge.rotations, judge.level) == (3, "nominal")
    assert [asked(judge, rotation, "x")[0] for rotation in range(3)] == [
        "x: good or bad or ugly?",
        "x: bad or ugly or good?",
        "x: ugly or good or bad?",
    ]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("SCORE: 4", 4),
        ("SCORE: 1\nno, score:  2.5", 2.5),
        ("<think>SCORE: 5</think>\nSCORE: 3", 3),
        ("<think>SCORE: 5</think>\nhm", None),
        ("SCORE: 6", None),
        ("SCORE: 1.2.3", None),
        ("four", None),
        ("", None),
    ],
)
def test_numbers_are_read_from_the_last_match_on_the_scale(rubric, text, value):
    assert rubric(SCALE).value(text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [("VERDICT: Good", 1), ("VERDICT: good, no, VERDICT: ugly", -1), ("VERDICT: fine", None)],
)
def test_options_are_read_by_their_names(rubric, text, value):
    assert rubric(OPTIONS).value(text) == value


def test_yes_and_no_are_options_as_they_are_written(rubric):
    judge = rubric(OPTIONS.replace("{good: 1, bad: 0, ugly: -1}", "{yes: 1, no: 0}"))
    assert asked(judge, 1, "x") == ["x: no or yes?"]
    assert (judge.value("VERDICT: Yes"), judge.value("VERDICT: no")) == (1, 0)


def test_a_pattern_that_never_ends_is_unknown(rubric):
    judge = rubric(SCALE.replace("SCORE:\\s*([\\d.]+)", "((x|y|xy)+)+z"))
    assert judge.value("xy" * 40) is None


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("---\nversion", "version", "has no heading; begin it with a line ---"),
        ("version: 1\n", "", "rubric.md version: missing; it is required: Which version"),
        ("scale: {least: 1, greatest: 5}\n", "", "scale or options says what an answer may be"),
        ("greatest: 5", "greatest: 1", "scale.least must be below scale.greatest"),
        ("([\\d.]+)", "[\\d.]+", "has no group; put the value in (...)"),
        ("([\\d.]+)", "([\\d.]+", "rubric.md answer: is not a pattern: missing )"),
        (
            "{{ completion }}",
            "{{ completion",
            "rubric.md:8: expected token 'end of print statement'",
        ),
        (
            "{{ completion }}",
            "{{ " + "(" * 3000 + "1",
            "rubric.md: its template is nested too deep",
        ),
        ("[helpful, useful]", "[helpful", "rubric.md: its heading: is not YAML"),
        ("wordings", "words", "rubric.md words: unknown key; did you mean wordings? accepted: "),
    ],
)
def test_what_is_no_rubric_is_told_in_a_line(rubric, old, new, told):
    assert old in SCALE
    with pytest.raises(FieldError) as caught:
        rubric(SCALE.replace(old, new, 1))
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{{ record.answer }}", "'dict object' has no attribute 'answer', for sample s"),
        ("{{ anwser }}", "'anwser' is undefined, for sample s"),
        ("{{ ''.__class__.__mro__ }}", "is unsafe, for sample s"),
        ("{{ 1 / 0 }}", "division by zero, for sample s"),
        ("{{ 'a' * 100_000_000_000 }}", "MemoryError, for sample s"),
        ("{{ record.items }}", 'items is a function; a field is record["items"], for sample s'),
    ],
)
def test_what_a_template_lacks_or_may_not_do_fails_with_its_sample(rubric, text, told):
    judge = rubric(SCALE.replace("{{ completion }}", text))
    with pytest.raises(MetricError, match=r"rubric\.md: ") as caught:
        asked(judge, 0)
    assert str(caught.value).endswith(told)
