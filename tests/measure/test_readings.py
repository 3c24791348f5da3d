"""Pairs as two readings of one answer, from a task and from a file."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.measure.readings import PairedAnswer, paired_answers
from harness.models.loading import load_tokenizer
from harness.tasks.by_name import load
from harness.tasks.pairs.align import Aligner
from harness.tasks.pairs.making import pairs_from_task
from harness.tasks.pairs.pair import Unpaired

TOKENIZER = load_tokenizer("zoo/moe")
TASK = load("micro_humaneval", limit=6)


@pytest.fixture
def pairs():
    aligner = Aligner(TOKENIZER)
    return {pair.key: aligner.align(pair) for pair in pairs_from_task(TASK, TOKENIZER).pairs}


def answers(pairs=None, context=2048, task=TASK):
    return list(paired_answers(TOKENIZER, task, task.samples, pairs, context))


def test_both_variants_hold_the_same_tokens_at_their_positions():
    for answer in answers():
        one, other = (answer.variants[variant] for variant in ("agentic", "assisted"))
        assert [one.tokens[at] for at in one.positions] == [
            other.tokens[at] for at in other.positions
        ]
        assert one.tokens != other.tokens


def test_aligned_pairs_of_a_task_are_read_as_the_task_itself_is(pairs):
    assert answers(pairs) == answers()


def test_what_cannot_be_read_is_a_problem_with_its_key_and_reason(pairs):
    keys = list(pairs)
    del pairs[keys[1]]
    bad = {"aligned_ok": False, "aligned_errors": ("user_prompt: gone", "and more")}
    pairs[keys[2]] = pairs[keys[2]].model_copy(update=bad)
    pairs[keys[3]] = pairs[keys[3]].model_copy(update={"canonical_non_ws_positions": ()})
    found = answers(pairs)
    assert [type(each) for each in found] == [PairedAnswer, *[Unpaired] * 3, *[PairedAnswer] * 2]
    assert [str(each) for each in found[1:4]] == [
        f"{keys[1]}: not in the file of aligned pairs",
        f"{keys[2]}: not aligned: user_prompt: gone; and more",
        f"{keys[3]}: the two variants share no token of the answer",
    ]


def test_a_pair_longer_than_the_context_is_a_problem():
    longest = max(len(answer.variants["agentic"].tokens) for answer in answers())
    found = answers(context=longest - 1)
    problems = [each for each in found if isinstance(each, Unpaired)]
    assert problems
    assert problems[0].reason == f"{longest} tokens, but the model takes {longest - 1}"


def test_a_token_that_differs_between_the_variants_does_not_count(pairs):
    key = next(iter(pairs))
    pair = pairs[key]
    at = pair.canonical_non_ws_positions[0]
    ids = list(pair.assisted_aligned_ids)
    ids[at] += 1
    changed = pair.model_copy(update={"assisted_aligned_ids": tuple(ids)})
    (answer, *_) = answers({key: changed}, task=replace(TASK, samples=TASK.samples[:1]))
    assert answer.variants["agentic"].positions == pair.canonical_non_ws_positions[1:]


def test_a_style_that_cannot_be_rendered_is_a_problem_of_every_sample():
    bare = load_tokenizer("zoo/moe")
    bare.chat_template = None
    found = list(paired_answers(bare, TASK, TASK.samples, None, 2048))
    assert all(isinstance(each, Unpaired) for each in found)
    assert "chat template" in found[0].reason


def test_nothing_is_raised_for_a_file_of_another_task(pairs):
    other = load("micro_gsm8k", limit=2)
    found = answers(pairs, task=other)
    assert {each.reason for each in found} == {"not in the file of aligned pairs"}


def test_samples_of_one_key_are_not_taken_for_each_other():
    first, second = TASK.samples[:2]
    alike = replace(TASK, samples=(replace(first, id="A/1"), replace(second, id="a_1")))
    own, other = answers(task=alike)
    assert isinstance(own, PairedAnswer)
    assert other == Unpaired("a_1", "a_1 has the key of A/1; name them less alike")
    built = pairs_from_task(alike, TOKENIZER)
    assert [pair.key for pair in built.pairs] == ["a_1"]
    assert [problem.key for problem in built.problems] == ["a_1"]
