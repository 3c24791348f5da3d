"""Spans of tokens against a search that tries every token."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from harness.models.loading import load_tokenizer
from harness.tasks.pairs.spans import NOT_FOUND, tokenise

TOKENIZER = load_tokenizer("zoo/moe")


@given(st.text(max_size=40), st.integers(0, 45), st.integers(0, 45))
def test_a_span_is_every_token_that_holds_one_of_its_characters(text, start, end):
    tokenised = tokenise(TOKENIZER, text)
    first, last = tokenised.tokens_of(start, end)
    inside = [
        at
        for at, (a, b) in enumerate(zip(tokenised.starts, tokenised.ends, strict=True))
        if a < end and b > start
    ]
    if end <= start or start >= len(text):
        assert (first, last) == NOT_FOUND
    else:
        assert list(range(first, last)) == inside
    assert tokenised.ids == tuple(TOKENIZER(text, add_special_tokens=False)["input_ids"])


def test_a_needle_is_found_from_a_character_on():
    tokenised = tokenise(TOKENIZER, "ab<tool_call>x<tool_call>")
    ids = [TOKENIZER.decode([id_]) for id_ in tokenised.ids]
    at = [i for i, text in enumerate(ids) if text == "<tool_call>"]
    assert tokenised.find("<tool_call>") == (at[0], at[0] + 1)
    assert tokenised.find("<tool_call>", 5) == (at[1], at[1] + 1)
    assert tokenised.find("<tool_response>") == NOT_FOUND
    assert tokenised.find("<tool_call>", -1) == NOT_FOUND
