"""Inheriting and overriding, on documents of one shape: a key is always a section or never."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from harness.spec.layers import fields, get, merge, put

LEAVES = st.none() | st.integers() | st.text() | st.lists(st.integers())


def documents(depth: int = 3) -> st.SearchStrategy[dict]:
    optional = dict.fromkeys("ab", LEAVES)
    if depth:
        optional |= {name: documents(depth - 1) for name in "xy"}
    return st.fixed_dictionaries({}, optional=optional)


@given(documents(), documents(), documents())
def test_merging_is_associative(base, middle, top):
    assert merge(merge(base, middle), top) == merge(base, merge(middle, top))


@given(documents())
def test_nothing_is_neutral_and_the_same_changes_nothing(document):
    assert merge(document, {}) == merge({}, document) == merge(document, document) == document


@given(documents(), documents())
def test_what_lies_on_top_is_there_afterwards(base, over):
    merged = merge(base, over)
    assert {*fields(over)} <= {*fields(merged)}
    assert merge(merged, over) == merged


@given(documents(), st.sampled_from(["a", "x", "x.a", "y.x.b", "x.x.x.x"]), LEAVES)
def test_what_is_put_is_got_and_putting_it_back_changes_nothing(document, field, value):
    assert get(put(document, field, value), field) == value
    if field in fields(document):
        assert put(document, field, get(document, field)) == document


def test_inputs_are_left_alone():
    base = {"x": {"a": 1}}
    put(merge(base, {"x": {"b": 2}}), "x.a", 3)
    assert base == {"x": {"a": 1}}


def test_another_variant_replaces_a_section():
    assert merge({"p": {"usage": "u", "samples": 3}}, {"p": {"file": "f"}}) == {"p": {"file": "f"}}
    assert merge({"i": {"kind": "a", "x": 1}}, {"i": {"kind": "b"}}) == {"i": {"kind": "b"}}
    assert merge({"i": {"kind": "a", "x": 1}}, {"i": {"y": 2}}) == {
        "i": {"kind": "a", "x": 1, "y": 2}
    }
    assert put({"p": {"usage": "u"}}, "p.random", 0) == {"p": {"random": 0}}
