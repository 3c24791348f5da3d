"""The index against a search through all residents."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from harness.engines.transformers.prefixes import BLOCK, PrefixIndex, prefix_key
from harness.interventions.base import Intervention


class From(Intervention):
    """Acts from a position on."""

    kind: str = "from"
    start: int
    dose: int

    def neutral(self):
        return self.model_copy(update={"dose": 0})

    def prefix_key(self, length, prompt):
        return "" if length <= self.start else self.fingerprint()


@dataclass(eq=False)
class Held:
    cached: list[int]
    intervention: Intervention | None
    prompt_length: int = 0
    regime: int = 0


interventions = st.none() | st.builds(From, start=st.integers(0, 4 * BLOCK), dose=st.integers(0, 1))
sequences = st.builds(
    lambda stem, tail, intervention: Held([7] * stem + tail, intervention),
    st.integers(0, 3 * BLOCK),
    st.lists(st.integers(7, 8), max_size=BLOCK + 5),
    interventions,
)


def longest_by_search(residents, tokens, intervention) -> int:
    def shared(held) -> int:
        length = 0
        while (
            length < min(len(tokens), len(held.cached))
            and tokens[length] == held.cached[length]
            and prefix_key(intervention, length + 1, 0)
            == prefix_key(held.intervention, length + 1, 0)
        ):
            length += 1
        return length

    return max((shared(held) for held in residents), default=0)


@given(st.lists(sequences, max_size=8), sequences, st.data())
def test_the_longest_shared_prefix_is_found(residents, wanted, data):
    index = PrefixIndex()
    for held in residents:
        index.add(held)
    for held in residents:
        if data.draw(st.booleans()):
            index.remove(held)
            residents = [other for other in residents if other is not held]
    holder, length = index.longest(wanted.cached, wanted.intervention, 0)
    expected = longest_by_search(residents, wanted.cached, wanted.intervention)
    # Less than a block is not looked for, nor which of several residents shares a few more tokens.
    assert length == 0 if expected < BLOCK else expected - BLOCK < length <= expected
    assert (holder is None) == (length == 0)
    if holder is not None:
        assert holder.cached[:length] == wanted.cached[:length]


def test_nothing_is_left_of_what_was_removed():
    index = PrefixIndex()
    held = Held([1] * 50, None)
    index.add(held)
    index.add(held)
    index.remove(held)
    index.remove(held)
    assert index.longest([1] * 50, None, 0) == (None, 0)
    assert not index._holders
    assert not index._keys


def test_what_is_continued_is_found_among_many_that_begin_alike():
    """Less than a block apart, where the latest holder would share fewer tokens."""
    index = PrefixIndex()
    stem = [7] * (BLOCK + 3)
    own, others = Held([*stem, 1, 2, 3], None), [Held([*stem, 8, 8], None) for _ in range(5)]
    for held in (own, *others):
        index.add(held)
    assert index.longest([*stem, 1, 2, 3, 4], None, 0) == (own, len(own.cached))
    index.remove(own)
    assert index.longest([*stem, 1, 2, 3, 4], None, 0) == (others[-1], len(stem))


def test_of_two_equal_residents_either_may_go():
    index = PrefixIndex()
    twins = [Held([7] * (BLOCK + 3), None) for _ in range(2)]
    for held in twins:
        index.add(held)
    for held in twins:
        index.remove(held)
    assert index.longest([7] * (BLOCK + 4), None, 0) == (None, 0)
    assert not index._whole
    assert not index._whole_keys
