"""What crosses is of built-in types, equal to what was sent; nothing else crosses."""

import enum
import json
from collections import Counter, OrderedDict, defaultdict, deque
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.sandbox.plain_data import (
    NotPlainError,
    Opaque,
    decode,
    encode,
    encode_exactly,
    write_back,
)

HASHABLE = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.complex_numbers(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.characters(categories=["Cs"])
    | st.binary()
    | st.fractions()
    | st.decimals(allow_nan=False)
    | st.builds(range, st.integers(), st.integers(), st.integers(1)),
    lambda inner: st.frozensets(inner, max_size=3) | st.tuples(inner, inner),
    max_leaves=6,
)
VALUES = st.recursive(
    HASHABLE | st.binary().map(bytearray),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner)
        | st.sets(HASHABLE, max_size=4)
        | st.dictionaries(HASHABLE, inner, max_size=4)
    ),
    max_leaves=12,
)


def crossed(value):
    return decode(json.loads(json.dumps(encode(value))))


def types(value):
    inner = [*value.items()] if isinstance(value, dict) else value
    many = isinstance(value, list | tuple | set | frozenset | dict)
    return type(value), sorted(map(repr, map(types, inner))) if many else None


@given(VALUES)
def test_plain_data_crosses_unchanged(value):
    assert crossed(value) == value
    assert types(crossed(value)) == types(value)
    assert encode_exactly(value) == encode(value)


def test_a_number_that_is_none_crosses():
    assert str(crossed([float("nan")])) == "[nan]"


class Point(NamedTuple):
    x: int
    y: int


class Colour(enum.IntEnum):
    RED = 1


class Loud(str):
    def __eq__(self, other):
        return True

    __hash__ = str.__hash__


@pytest.mark.parametrize(
    ("value", "lowered"),
    [
        (Counter("aab"), {"a": 2, "b": 1}),
        (OrderedDict(a=1), {"a": 1}),
        (defaultdict(list, {1: [2]}), {1: [2]}),
        (Point(1, 2), (1, 2)),
        (Colour.RED, 1),
        (Loud("x"), "x"),
        (np.int64(3), 3),
        (np.float64(0.5), 0.5),
        (np.float32(0.5), 0.5),
        (np.bool_(True), True),
        ({"a": 1}.keys(), {"a"}),
    ],
)
def test_subclasses_are_lowered_to_their_base(value, lowered):
    assert crossed(value) == lowered
    assert crossed([value])[0] == lowered


@pytest.mark.parametrize(
    "value", [Counter("a"), Colour.RED, Loud("x"), np.int64(3), {1: Loud("x")}]
)
def test_what_the_tests_pass_must_not_be_changed(value):
    with pytest.raises(NotPlainError):
        encode_exactly([value])


def test_iterators_are_read_out_and_stay_iterators():
    found = crossed(x * x for x in range(3))
    assert found != [0, 1, 4]
    assert list(found) == [0, 1, 4]


@pytest.mark.parametrize(
    "value", [object(), object, len, lambda: 1, deque([1]), np.arange(3), NotImplemented, ...]
)
def test_other_objects_equal_nothing(value):
    found = crossed(value)
    assert type(found) is Opaque
    assert found != crossed(value)
    assert not any(found == other for other in (None, True, 0, "", [], crossed([])))
    with pytest.raises(NotPlainError):
        encode_exactly((value,))


def test_deep_nesting_becomes_opaque_instead_of_overflowing():
    nested = []
    for _ in range(100_000):
        nested = [nested]
    assert "deeply nested" in repr(crossed(nested))
    looped = []
    looped.append(looped)
    assert "deeply nested" in repr(crossed(looped))


@given(
    st.recursive(
        st.none() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
def test_a_forged_message_is_read_or_refused(message):
    try:
        value = decode(message)
    except (ValueError, TypeError):
        return
    assert type(value).__module__ in {
        "builtins",
        "decimal",
        "fractions",
        "harness.sandbox.plain_data",
    }


@pytest.mark.parametrize("forged", [["__import__", "os"], ["list"], ["int", 3], [[], 1], {"a": 1}])
def test_an_unknown_kind_is_refused(forged):
    with pytest.raises((ValueError, TypeError)):
        decode(forged)


def test_changes_of_arguments_are_repeated_on_the_originals():
    numbers, table, chosen, text, data = [3, 1], {"a": 1}, {1}, "x", bytearray(b"a")
    write_back((numbers, table, chosen, text, data), ([1, 3], {"b": 2}, {2}, "y", bytearray(b"bc")))
    assert (numbers, table, chosen, text, data) == ([1, 3], {"b": 2}, {2}, "x", bytearray(b"bc"))


def test_an_argument_never_changes_its_type():
    numbers = [1]
    write_back((numbers,), ({"a": 1},))
    assert numbers == [1]


def test_fractions_and_decimals_keep_their_arithmetic():
    assert crossed(Fraction(1, 2)) == 0.5
    assert crossed(Decimal("1.50")) == Decimal("1.5")
