"""Ends and texts against their definition on the whole text."""

from __future__ import annotations

from functools import cache

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from harness.engines.contract import Request, Stop
from harness.engines.decoding.endings import Endings
from harness.engines.transformers.residents import Resident
from harness.models.loading import LoadedModel, load

stops = st.builds(
    Stop,
    tokens=st.frozensets(st.integers(1, 9), max_size=2),
    strings=st.lists(st.sampled_from(["w3", "w1w2", "4w", "w12w"]), max_size=2).map(tuple),
)


@settings(deadline=None)
@given(tokens=st.lists(st.integers(0, 12), min_size=1, max_size=15), stop=stops, most=...)
def test_a_sequence_ends_at_the_first_reason_and_leaves_what_was_before_it(
    moe, tokens, stop, most: bool
):
    endings = Endings(moe)
    sequence = Resident(0, Request((1,), len(tokens) if most else 40, stop=stop))
    decode = moe.tokenizer.decode
    for token in tokens:
        sequence.tokens.append(token)
        stopped = token == 0 or token in stop.tokens
        said = any(string in decode(sequence.tokens) for string in stop.strings)
        reason = endings.reason(sequence)
        full = len(sequence.tokens) == sequence.request.max_new_tokens
        assert reason == ("stop" if stopped or said else "length" if full else None)
        if reason:
            break
    text = endings.text(sequence)
    assert decode(sequence.tokens).startswith(text)
    assert not any(string in text for string in stop.strings)
    if not stopped and not said:
        assert text == decode(sequence.tokens)


@cache
def zoo(name: str) -> LoadedModel:
    return load(name, device="cpu")


# The second one says whatever it has no word for byte by byte, and decodes bytes in a row together.
@pytest.mark.parametrize("name", ["zoo/moe", "zoo/settled"])
@settings(deadline=None)
@given(
    text=st.text(st.sampled_from("ab :\n1é…🙂"), min_size=1, max_size=12),
    cut=st.tuples(st.integers(0, 11), st.integers(1, 4)),
    noise=st.lists(st.integers(1, 255), max_size=2),
)
def test_no_stop_string_is_passed_by_wherever_tokens_part_it(name, text, cut, noise):
    """Strings of blanks, of characters of several bytes and tokens, and of both."""
    model = zoo(name)
    tokenizer = model.tokenizer
    tokens = [*noise, *tokenizer.encode(text, add_special_tokens=False)]
    string = text[cut[0] : sum(cut)]
    assume(string and not set(tokens) & model.end_tokens)
    endings = Endings(model)
    sequence = Resident(0, Request((1,), 40, stop=Stop(strings=(string,))))
    for token in tokens:
        sequence.tokens.append(token)
        said = string in tokenizer.decode(sequence.tokens)
        assert endings.reason(sequence) == ("stop" if said else None)
        if said:
            break


def test_the_context_leaves_less_room_than_the_request_asks_for(moe):
    endings = Endings(moe)
    sequence = Resident(0, Request((1,) * 60, 40), tokens=[5, 5, 5])
    assert endings.room(sequence) == 1
    sequence.tokens.append(5)
    assert endings.reason(sequence) == "length"
