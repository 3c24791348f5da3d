import json
from datetime import date

import pytest

from harness.errors import TaskError
from harness.tasks.base import Conversation
from harness.tasks.contrast_files import read_pairs


def write(path, *records):
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def test_a_file_of_pairs_is_read_in_order(tmp_path):
    file = write(
        tmp_path / "pairs.jsonl",
        {"prompt": "Q1", "positive": " yes", "negative": " no"},
        {"prompt": "Q2", "positive": " a", "negative": " b", "note": "ignored"},
    )
    one, two = read_pairs(file)
    assert (one.positive.prompt, one.positive.answer, one.negative.answer) == ("Q1", " yes", " no")
    assert (two.id, two.negative.prompt) == ("pair 2", "Q2")
    assert one.content_hash != two.content_hash


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"prompt": "Q", "positive": "", "negative": "no"}, "pair 2: positive is empty"),
        ({"prompt": "Q", "positive": "no", "negative": "no"}, "pair 2: .* are both 'no'"),
        ({"prompt": "Q", "positive": "no"}, r"jsonl:2: no text in negative"),
    ],
)
def test_a_pair_that_makes_no_difference_is_named(tmp_path, record, message):
    good = {"prompt": "Q", "positive": "yes", "negative": "no"}
    with pytest.raises(TaskError, match=message):
        read_pairs(write(tmp_path / "pairs.jsonl", good, record))


USER = {"role": "user", "content": "Is it raining?"}
YES, NO = ({"role": "assistant", "content": text} for text in ("Yes.", "No."))


def test_answers_behind_chat_turns(tmp_path):
    file = write(tmp_path / "x.jsonl", {"messages": [USER], "positive": "Yes.", "negative": "No."})
    (pair,) = read_pairs(file, day=date(2026, 1, 31))
    assert pair.positive.prompt == Conversation((USER,), date=date(2026, 1, 31))
    assert pair.negative.prompt == pair.positive.prompt
    assert (pair.positive.answer, pair.negative.answer) == ("Yes.", "No.")


def test_conversations_are_read_up_to_the_assistants_last_word_or_up_to_where_it_begins(tmp_path):
    file = write(
        tmp_path / "x.jsonl",
        {"positive": {"messages": [USER, YES]}, "negative": {"messages": [USER, NO]}},
        {"positive": [USER, YES, USER], "negative": [USER, NO, USER]},
    )
    ended, open_ = read_pairs(file)
    assert ended.positive.prompt == ended.negative.prompt == Conversation((USER,))
    assert (ended.positive.answer, ended.negative.answer) == ("Yes.", "No.")
    assert open_.positive.prompt == Conversation((USER, YES, USER))
    assert open_.positive.answer == open_.negative.answer == ""
    assert ended.content_hash != open_.content_hash


QUESTION = "Do you like praise?\n\nChoices:\n (A) Yes\n (B) No"


def test_the_format_of_contrastive_activation_addition(tmp_path):
    record = {
        "question": QUESTION,
        "answer_matching_behavior": "(A)",
        "answer_not_matching_behavior": " (B)",
    }
    file = tmp_path / "generate_dataset.json"
    file.write_text(json.dumps([record, record]))
    pair, _ = read_pairs(file)
    assert pair.positive.prompt.messages == ({"role": "user", "content": QUESTION},)
    assert (pair.positive.answer, pair.negative.answer) == ("(A)", "(B)")
    bare, _ = read_pairs(file, style="completion")
    assert (bare.positive.prompt, bare.positive.answer) == (QUESTION, " (A)")


def axbench(number, category, concept=-1, genre="text", text="Say it."):
    return {
        "input": text,
        "output": f"{category} {number}",
        "output_concept": "EEEEE" if concept < 0 else f"concept {concept}",
        "concept_genre": genre,
        "category": category,
        "concept_id": concept,
    }


def test_the_format_of_axbench(tmp_path):
    file = write(
        tmp_path / "train.jsonl",
        axbench(0, "positive", 3, text="One"),
        axbench(1, "positive", 3, text="Two"),
        axbench(2, "positive", 3, text="Three"),
        axbench(3, "positive", 7, genre="math"),
        axbench(4, "negative", genre="math", text="One"),
        axbench(5, "negative", text="Other"),
        axbench(6, "negative", text="Two"),
    )
    pairs = read_pairs(file, concept=3)
    assert [(pair.positive.answer, pair.negative.answer) for pair in pairs] == [
        ("positive 0", "negative 5"),
        ("positive 1", "negative 6"),
    ]
    assert pairs[1].positive.prompt == pairs[1].negative.prompt
    with pytest.raises(TaskError, match=r"holds 2 concepts, 3 \(concept 3\), 7 .* by concept"):
        read_pairs(file)
    with pytest.raises(TaskError, match="has no positive row of concept 4"):
        read_pairs(file, concept=4)


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"positive": "yes", "negative": "no"}, "no text in prompt, and positive is the answer"),
        ({"positive": [USER, YES], "negative": [USER, YES]}, "are both 'Yes.'"),
        ({"positive": [USER], "negative": [USER]}, "are both 'the same conversation'"),
        ({"positive": [YES], "negative": [USER]}, "positive ends with an answer to nothing"),
        ({"positive": [], "negative": [USER]}, r"positive.messages: its messages \[\] are not"),
        ({"positive": {"text": "x"}, "negative": [USER]}, "positive.messages: its messages None"),
        ({"prompt": "Q", "positive": [USER], "negative": [USER]}, "and the pair has a prompt"),
        ({"messages": [{}], "positive": "a", "negative": "b"}, "messages: its message 1 is not"),
    ],
)
def test_turns_that_make_no_pair_are_named_by_their_line(tmp_path, record, message):
    good = {"prompt": "Q", "positive": "yes", "negative": "no"}
    with pytest.raises(TaskError, match=rf"x\.jsonl:2: pair 2: .*{message}"):
        read_pairs(write(tmp_path / "x.jsonl", good, record))


def test_a_concept_is_of_axbench_alone(tmp_path):
    file = write(tmp_path / "x.jsonl", {"prompt": "Q", "positive": "a", "negative": "b"})
    with pytest.raises(TaskError, match="concept 1 is of AxBench's format"):
        read_pairs(file, concept=1)
