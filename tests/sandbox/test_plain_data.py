"""What crosses is of built-in and standard types, equal to what was sent; nothing else crosses."""

import enum
import json
from collections import Counter, OrderedDict, defaultdict, deque
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.sandbox.kinds import COMPOUNDS, LEAVES, MUTABLES, Read
from harness.sandbox.plain_data import LoweringWriter, NotPlainError, Own, Reader, Writer

TEXTS = st.text() | st.text(st.characters(categories=["Cs"]))
ZONES = (
    st.none()
    | st.just(UTC)
    | st.timedeltas(timedelta(hours=-23), timedelta(hours=23)).map(timezone)
)
HASHABLE = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.complex_numbers(allow_nan=False, allow_infinity=False)
    | TEXTS
    | st.binary()
    | st.fractions()
    | st.decimals(allow_nan=False)
    | st.builds(range, st.integers(), st.integers(), st.integers(1))
    | st.dates()
    | st.times(timezones=ZONES)
    | st.datetimes(timezones=ZONES)
    | st.timedeltas(),
    lambda inner: st.frozensets(inner, max_size=3) | st.tuples(inner, inner),
    max_leaves=6,
)
VALUES = st.recursive(
    HASHABLE | st.binary().map(bytearray),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner)
        | st.sets(HASHABLE, max_size=4)
        | st.builds(deque, st.lists(inner, max_size=4), st.none() | st.integers(4, 9))
        | st.dictionaries(HASHABLE, inner, max_size=4).flatmap(
            lambda made: st.sampled_from(
                [made, OrderedDict(made), Counter(made), defaultdict(list, made), {}.fromkeys(made)]
            )
        )
    ),
    max_leaves=12,
)


def sent(message):
    """A message as the other side reads it."""
    text = json.dumps(message, ensure_ascii=False).encode("utf-8", "surrogatepass")
    return json.loads(text.decode("utf-8", "surrogatepass"))


def crossed(value, writer=None):
    """What arrives: by the judge's writer, which refuses, or by the candidate's."""
    writer = LoweringWriter({}) if writer is None else writer
    written, contents = sent([writer.write(value), writer.contents()])
    reader = Reader(lambda number, kind="": Own(number, kind))
    reader.admit(contents)
    return reader.read(written)


def types(value):
    inner = [*value.items()] if isinstance(value, dict) else value
    many = isinstance(value, list | tuple | set | frozenset | dict | deque)
    return type(value), sorted(map(repr, map(types, inner))) if many else None


@given(VALUES)
def test_plain_data_crosses_unchanged(value):
    for writer in (Writer(), LoweringWriter({})):
        found = crossed(value, writer)
        assert found == value
        assert types(found) == types(value)
        assert getattr(found, "maxlen", None) == getattr(value, "maxlen", None)


@given(VALUES)
def test_whatever_has_come_can_go_back(value):
    """So that no value of the candidate's makes the tests pass what cannot be sent."""
    for odd in (value, [value, object()], (iter([value]), {1: value}.values())):
        crossed(crossed(odd), Writer())


def test_a_number_that_is_none_crosses():
    assert str(crossed([float("nan")])) == "[nan]"


def test_what_is_one_object_here_is_one_object_there():
    mine = [1]
    around = {"a": mine, "b": (mine, mine)}
    mine.append(around)
    found = crossed([mine, around])
    assert found[0] is found[1]["a"] is found[1]["b"][0] is found[1]["b"][1]
    assert found[0][1] is found[1]


def test_depth_and_size_of_lists_are_no_matter():
    nested = inner = []
    for _ in range(10_000):
        inner.append([])
        inner = inner[0]
    found, depth = crossed(nested), 0
    while found:
        found, depth = found[0], depth + 1
    assert depth == 10_000
    assert crossed(list(range(300_000))) == list(range(300_000))


class Point(NamedTuple):
    x: int
    y: int


class Colour(enum.IntEnum):
    RED = 1


class Loud(str):
    def __eq__(self, other):
        return True

    __hash__ = str.__hash__


class Pile(list):
    pass


class Table(defaultdict):
    pass


class Zone(tzinfo):
    pass


@pytest.mark.parametrize(
    ("value", "lowered"),
    [
        (Pile([1, [2]]), [1, [2]]),
        (defaultdict(lambda: 3, {1: [2]}), {1: [2]}),
        (Table(lambda: 3, {1: 2}), {1: 2}),
        (Point(1, 2), (1, 2)),
        (Colour.RED, 1),
        (Loud("x"), "x"),
        (np.int64(3), 3),
        (np.float64(0.5), 0.5),
        (np.float32(0.5), 0.5),
        (np.bool_(True), True),
        ({"a": 1}.keys(), {"a"}),
        (OrderedDict(a=1).items(), {("a", 1)}),
    ],
)
def test_subclasses_are_lowered_to_their_base(value, lowered):
    assert crossed(value) == lowered
    assert crossed([value])[0] == lowered


@pytest.mark.parametrize(
    "value",
    [
        Colour.RED,
        Loud("x"),
        np.int64(3),
        {1: Loud("x")},
        Point(1, 2),
        Pile(),
        defaultdict(lambda: 3),
        iter([1]),
        ValueError("x"),
        datetime(2024, 1, 1, tzinfo=Zone()),
    ],
)
def test_what_the_tests_pass_must_not_be_changed(value):
    with pytest.raises(NotPlainError):
        crossed([value], Writer())


def test_iterators_are_read_out_and_stay_iterators():
    found = crossed(x * x for x in range(3))
    assert found != [0, 1, 4]
    assert list(found) == [0, 1, 4]


def test_views_are_views():
    table = {"a": 1, "b": 2}
    values = crossed(table.values())
    assert (values == [1, 2], list(values), len(values)) == (False, [1, 2], 2)
    assert crossed(table.keys()) == {"a", "b"} != ["a", "b"]
    assert crossed(table.items()) == table.items()


def test_counters_count_and_defaults_are_there():
    assert crossed(Counter("aab")).most_common(1) == [("a", 2)]
    assert crossed(defaultdict(list))["missing"] == []
    assert crossed(deque([1, 2], 2)) == deque([1, 2])


@pytest.mark.parametrize("value", [object(), object, len, lambda: 1, np.arange(3), NotImplemented])
def test_other_objects_equal_nothing_and_stay(value):
    kept = {}
    found = crossed(value, LoweringWriter(kept))
    assert type(found) is Own
    assert found != crossed(value, LoweringWriter({}))
    assert not any(found == other for other in (None, True, 0, "", [], crossed([])))
    assert kept[found.number] is value
    assert Writer().write(found) == ["own", found.number]
    with pytest.raises(NotPlainError):
        crossed((value,), Writer())


def test_deep_nesting_of_what_cannot_change_stays_instead_of_overflowing():
    def endless():
        yield endless()

    nested = ()
    for _ in range(100_000):
        nested = (nested,)
    assert "deeply nested object>" in repr(crossed(nested))
    assert crossed(endless(), LoweringWriter({}))
    looped = []
    looped.append((looped,))
    found = crossed(looped)
    assert found[0][0] is found


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda x: st.lists(x) | st.dictionaries(st.text(), x),
)
KINDS = [kind.name for kind in (*LEAVES.values(), *MUTABLES.values())]
FORGED = st.recursive(
    st.none() | st.integers(-1, 3) | st.text("0x1a-.", max_size=4),
    lambda x: st.tuples(
        st.sampled_from([*KINDS, *COMPOUNDS.values(), "at", "own", "exec"]), x, x
    ).flatmap(lambda three: st.sampled_from([[*three[:2]], [*three], [three[0], [*three[1:]]]])),
    max_leaves=8,
)


@settings(max_examples=50)
@given(JSON | FORGED, st.lists(JSON | FORGED, max_size=3), st.lists(JSON | FORGED, max_size=2))
def test_a_forged_message_is_read_or_refused(message, contents, changes):
    mine = [[1], {"a": 1}]
    reader = Reader(Own, mine)
    try:
        reader.admit(contents)
        reader.refill(changes)
        value = reader.read(message)
    except Exception:
        return
    allowed = {*LEAVES, *MUTABLES, *COMPOUNDS, Own, bool, float, str, type(None), int}
    assert type(value) in allowed
    assert [type(each) for each in mine] == [list, dict]


@pytest.mark.parametrize(
    "forged",
    [["__import__", "os"], ["list"], ["int", 3], [[], 1], {"a": 1}, ["at", 0], ["at", -1], ["own"]],
)
def test_an_unknown_kind_is_refused(forged):
    with pytest.raises((ValueError, TypeError, KeyError, IndexError)):
        Reader(Own).read(forged)


def changed(mine, change):
    """A call's argument after a function has changed its copy."""
    judge = Writer()
    call = sent([judge.write(mine), judge.contents()])
    there = Reader(Own)
    there.admit(call[1])
    returned = change(there.read(call[0]))
    candidate = LoweringWriter({}, there.objects)
    answer = sent([candidate.write(returned), candidate.contents()])
    here = Reader(Own, judge.objects)
    here.admit(answer[1][len(judge.objects) :])
    here.refill(list(enumerate(answer[1][: len(judge.objects)])))
    return here.read(answer[0])


@pytest.mark.parametrize(
    ("mine", "change", "after"),
    [
        ([3, 1], lambda x: x.sort(), [1, 3]),
        ({"a": 1}, lambda x: x.update(b=x.pop("a")), {"b": 1}),
        ({1}, lambda x: x.add(2), {1, 2}),
        (bytearray(b"a"), lambda x: x.extend(b"b"), bytearray(b"ab")),
        (deque([1]), lambda x: x.appendleft(0), deque([0, 1])),
        (Counter("a"), lambda x: x.update("a"), Counter("aa")),
        (OrderedDict(a=1, b=2), lambda x: x.move_to_end("a"), OrderedDict(b=2, a=1)),
        (([1], 2), lambda x: x[0].append(2), ([1, 2], 2)),
        ([[1], [2]], lambda x: x.__setitem__(0, x[1]), [[2], [2]]),
        ({"a": [1]}, lambda x: x["a"].clear(), {"a": []}),
    ],
)
def test_changes_of_arguments_are_repeated_on_the_originals(mine, change, after):
    changed(mine, change)
    assert mine == after


def test_an_argument_that_is_returned_is_the_argument():
    mine = [[1], [2]]
    assert changed(mine, lambda x: x) is mine
    assert changed(mine, lambda x: (x[1], 0))[0] is mine[1]


def test_an_object_never_changes_its_type():
    with pytest.raises(ValueError, match="a list that becomes a dict"):
        Reader(Own, [[1]]).refill([[0, ["dict", []]]])


def test_fractions_and_decimals_keep_their_arithmetic():
    assert crossed(Fraction(1, 2)) == 0.5
    assert crossed(Decimal("1.50")) == Decimal("1.5")


def test_what_an_iterator_gave_is_passed_on_as_what_is_left_of_it():
    left = Read([1, 2, 3])
    next(left)
    assert list(crossed(left, Writer())) == [2, 3]
