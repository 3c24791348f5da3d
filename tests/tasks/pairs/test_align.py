"""Alignment: every field's identity over random pairs, and every way in which a pair may be bad."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import ModelError
from harness.models.loading import load_tokenizer
from harness.tasks.pairs.align import Aligner
from tests.tasks.pairs.small import MARKER, agentic_text, assisted_text, pair

TOKENIZER = load_tokenizer("zoo/moe")
SEGMENTS = ("user_prompt", "function_docstring", "turn_end", "canonical_solution")
#: Text that no tag and no fence hides in.
WORDS = st.text(st.sampled_from("abxy 019_\n\t.:()é漢=+'\""), max_size=40)


@st.composite
def pairs(draw):
    """Pairs of the study's form, with any request, function and answer."""
    request, docstring = draw(WORDS) + "\n", "def f(x):\n" + draw(WORDS) + "\n"
    answer = "    return x" + draw(WORDS)
    return pair(
        assisted=assisted_text(docstring, answer, request),
        agentic=agentic_text(docstring, answer, request),
    )


def ids(text):
    return tuple(TOKENIZER(text, add_special_tokens=False)["input_ids"])


def align(pair_, **options):
    return Aligner(TOKENIZER, **options).align(pair_)


# What holds for every pair ------------------------------------------------------------------------


@given(pairs())
def test_the_aligned_sequence_is_as_long_as_the_agentic_one_and_padded_exactly_under_no_mask(pair_):
    aligned = align(pair_)
    length = len(ids(pair_.agentic))
    assert aligned.agentic_ids == ids(pair_.agentic)
    assert aligned.assisted_ids == ids(pair_.assisted)
    assert aligned.agentic_length == length
    assert aligned.assisted_length == len(aligned.assisted_ids)
    assert len(aligned.assisted_aligned_ids) == length
    assert len(aligned.assisted_aligned_attention_mask) == length
    written = set()
    for position in aligned.segment_positions.values():
        written |= set(range(position.start, position.end))
        assert position.length == position.end - position.start
        assert position.found
    mask = aligned.assisted_aligned_attention_mask
    assert {at for at, set_ in enumerate(mask) if set_} <= written
    assert all(
        token == aligned.pad_token_id
        for token, set_ in zip(aligned.assisted_aligned_ids, mask, strict=True)
        if not set_
    )


@given(pairs())
def test_the_same_text_has_the_same_tokens_at_the_same_positions(pair_):
    aligned = align(pair_)
    canonical = aligned.segment_positions["canonical_solution"]
    span = slice(canonical.start, canonical.end)
    assert aligned.aligned_ok, aligned.aligned_errors
    assert aligned.assisted_aligned_ids[span] == aligned.agentic_ids[span]
    assert set(aligned.assisted_aligned_attention_mask[span]) == {1}


@given(pairs())
def test_what_is_under_the_mask_is_the_assisted_text(pair_):
    aligned = align(pair_)
    own = aligned.sequence("assisted")
    # Where a token of the agentic text straddles a segment's edge, the pair says so.
    assert own == aligned.assisted_ids or aligned.aligned_warnings
    assert TOKENIZER.decode(own) == pair_.assisted or aligned.aligned_warnings


@given(pairs())
def test_the_answers_landmarks_follow_each_other(pair_):
    at = align(pair_).canonical_positions
    assert 0 <= at.assistant_start < at.fence_start <= at.fence_end <= at.code_start
    assert at.code_start <= at.first_non_ws


@given(pairs())
def test_canonical_positions_rise_and_name_the_answers_tokens_that_are_not_blank(pair_):
    aligned = align(pair_)
    positions = aligned.canonical_non_ws_positions
    assert list(positions) == sorted(set(positions))
    assert positions[0] == aligned.canonical_positions.first_non_ws
    for at, text in zip(positions, aligned.canonical_non_ws_tokens, strict=True):
        assert text == TOKENIZER.decode([aligned.agentic_ids[at]])
        assert text.strip()
    code = pair_.agentic.rpartition("```python\n")[2].removesuffix("\n```")
    seen = "".join(TOKENIZER.decode([aligned.agentic_ids[at] for at in positions]).split())
    assert seen == "".join(code.split())


@given(pairs())
def test_decoding_starts_right_before_the_fence_in_both_variants(pair_):
    aligned = align(pair_)
    for variant, text in (("agentic", pair_.agentic), ("assisted", pair_.assisted)):
        prompt = TOKENIZER.decode(aligned.prompt(variant))
        assert prompt == text[: text.rindex("```python")] or aligned.aligned_warnings
        assert aligned.sequence(variant)[: len(aligned.prompt(variant))] == aligned.prompt(variant)


@given(pairs())
def test_shared_positions_hold_the_same_tokens_in_both_sequences(pair_):
    aligned = align(pair_)
    agentic, assisted = aligned.shared_positions()
    assert agentic == aligned.canonical_non_ws_positions
    for a, b in zip(agentic, assisted, strict=True):
        assert aligned.sequence("agentic")[a] == aligned.sequence("assisted")[b]


@given(pairs(), st.text(max_size=60), st.text(max_size=60))
def test_any_two_texts_whatsoever_are_aligned_without_a_crash(pair_, assisted, agentic):
    for changes in ({"assisted": assisted}, {"agentic": agentic}):
        broken = align(pair(**changes))
        assert not broken.aligned_ok
        assert broken.aligned_errors


# The micro task's own pairs -----------------------------------------------------------------------


def test_every_pair_of_the_micro_task_is_aligned_completely(micro):
    assert len(micro) == 164
    for pair_, aligned in micro.values():
        assert aligned.aligned_ok
        assert aligned.aligned_warnings == ()
        assert not pair_.shared_request
        assert aligned.sequence("assisted") == aligned.assisted_ids
        assert tuple(aligned.segment_positions) == SEGMENTS


# What is wrong with a pair ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        (
            {"assisted": "<|im_start|>user\ndef f(x):\n<|im_end|>\n"},
            "assisted: the marker 'Function definition and docstring:' is missing",
        ),
        (
            {"assisted": f"<|im_start|>user\n{MARKER}def f(x):\n"},
            "assisted: the turn with the marker has no <|im_end|>",
        ),
        (
            {"assisted": f"<|im_start|>user\n{MARKER}def f(x):\n<|im_end|>\n"},
            "assisted: no <|im_start|>assistant after the marker's turn",
        ),
        (
            {"agentic": agentic_text("def f(x):\n", "    return x", "Something else.\n")},
            "user_prompt: not in the agentic text",
        ),
        (
            {"agentic": agentic_text("def g(x):\n", "    return x")},
            "function_docstring: not in the agentic text",
        ),
        (
            {"agentic": agentic_text("def f(x):\n", "    return y")},
            "canonical_solution: not in the agentic text",
        ),
        (
            {"agentic": agentic_text("", "    return x", seen="nothing")},
            "function_docstring: not in the agentic text",
        ),
    ],
)
def test_a_missing_part_is_an_error_of_the_pair(changes, error):
    aligned = align(pair(**changes))
    assert not aligned.aligned_ok
    assert error in aligned.aligned_errors


def test_a_docstring_outside_the_tool_response_does_not_count():
    docstring, answer = "def f(x):\n", "    return x"
    outside = agentic_text(
        docstring, answer, f"Complete the function body.\n{MARKER}{docstring}", seen="nothing\n"
    )
    aligned = align(pair(agentic=outside))
    assert not aligned.segment_positions["function_docstring"].found
    assert aligned.segment_positions["function_docstring"].start == -1
    assert not aligned.aligned_ok


def test_without_a_fence_there_is_nowhere_to_decode_from():
    texts = {
        "assisted": assisted_text("def f(x):\n", "    return x").replace("```", ""),
        "agentic": agentic_text("def f(x):\n", "    return x").replace("```", ""),
    }
    aligned = align(pair(**texts))
    assert aligned.canonical_positions.fence_start == -1
    assert aligned.canonical_non_ws_positions == ()
    assert "canonical_solution: no fenced answer" in aligned.aligned_errors
    assert aligned.prompt("agentic") == aligned.agentic_ids


def test_a_pair_longer_than_the_context_is_an_error_with_both_numbers():
    length = len(ids(pair().agentic))
    assert align(pair(), context=length).aligned_ok
    errors = align(pair(), context=length - 1).aligned_errors
    assert errors == (f"agentic: {length} tokens, but the model takes {length - 1}",)


def test_the_plain_marker_is_a_marker_too():
    plain = {
        "assisted": assisted_text("def f(x):\n", "    return x").replace(MARKER, MARKER[1:]),
        "agentic": agentic_text("def f(x):\n", "    return x").replace(MARKER, MARKER[1:]),
    }
    assert align(pair(**plain)).aligned_ok


def test_the_last_of_several_equal_answers_is_the_one_that_is_aligned():
    answer = "<|im_start|>assistant\n```python\n    return x\n```"
    early = agentic_text("def f(x):\n", "    return x").replace(
        "<|im_start|>assistant\n<tool_call>",
        f"{answer}<|im_end|>\n<|im_start|>assistant\n<tool_call>",
    )
    aligned = align(pair(agentic=early))
    assert aligned.aligned_ok
    assert aligned.segment_positions["canonical_solution"].end == aligned.agentic_length


def test_half_a_surrogate_pair_is_an_error_of_the_pair():
    aligned = align(pair(assisted=pair().assisted + "\ud800"))
    assert "surrogate" in aligned.aligned_errors[0]


def test_a_request_of_its_own_is_written_over_the_agentic_user_turn():
    own = pair(assisted=assisted_text("def f(x):\n", "    return x", "Do it.\n"))
    assert not align(own).aligned_ok
    declared = pair(assisted=own.assisted, shared_request=False)
    aligned = align(declared)
    assert aligned.aligned_ok
    assert aligned.segment_positions["user_prompt"].start == aligned.message_positions["user_start"]
    assert aligned.sequence("assisted") == aligned.assisted_ids


# Tokenizers ---------------------------------------------------------------------------------------


def test_a_slow_tokenizer_is_refused_by_name():
    slow = SimpleNamespace(is_fast=False, name_or_path="old/model")
    with pytest.raises(ModelError, match="tokenizer of old/model is a slow one"):
        Aligner(slow)


def test_the_end_token_pads_where_there_is_no_pad_token():
    fast = SimpleNamespace(is_fast=True, name_or_path="x", pad_token_id=None, eos_token_id=None)
    with pytest.raises(ModelError, match="neither a pad nor an end token"):
        Aligner(fast)
    fast = SimpleNamespace(is_fast=True, name_or_path="x", pad_token_id=None, eos_token_id=7)
    assert Aligner(fast)._pad == 7
