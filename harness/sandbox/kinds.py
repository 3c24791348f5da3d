"""The types that cross between judge and candidate, each with how it is written and made again.

Values of exactly these types cross unchanged. What is written is JSON; making a value from it calls
nothing but the type's own constructor, which raises where it was never written.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple

#: Written as they are, beside integers that are not large.
SCALARS = frozenset({bool, float, str, type(None)})


class Leaf(NamedTuple):
    """A type without parts. `write` gives what `read` takes, or None for what it cannot write."""

    name: str
    write: Callable[[Any], list[Any] | None]
    read: Callable[..., Any]


class Mutable(NamedTuple):
    """A type of objects that can be changed.

    `parts` are its items, or with `text` a text; an empty object is made from `made_of`, and filled
    with parts.
    """

    name: str
    parts: Callable[[Any], Iterable[Any] | str]
    fill: Callable[[Any, Any], None]
    make: Callable[..., Any]
    made_of: Callable[[Any], list[Any]] = lambda _: []
    exact: Callable[[Any], bool] = lambda _: True
    text: bool = False


class Read(Iterator[Any]):
    """What a candidate's iterator gave."""

    def __init__(self, items: Iterable[Any]) -> None:
        self._items = iter(items)

    def __next__(self) -> Any:
        return next(self._items)


def _zone(value: Any) -> list[Any] | None:
    """A fixed offset; other time zones are rules that cannot be written."""
    if value.tzinfo is None:
        return []
    if type(value.tzinfo) is not timezone:
        return None
    return _fixed(value.tzinfo)


def _fixed(zone: timezone) -> list[Any]:
    offset, *name = zone.__getinitargs__()  # type: ignore[attr-defined]
    return [offset.days, offset.seconds, offset.microseconds, *name]


def _made_zone(days: int, seconds: int, microseconds: int, *name: str) -> timezone:
    return timezone(timedelta(days, seconds, microseconds), *name)


def _moment(*fields: str) -> Callable[[Any], list[Any] | None]:
    def write(value: Any) -> list[Any] | None:
        zone = _zone(value)
        if zone is None:
            return None
        return [[getattr(value, name) for name in fields], zone, value.fold]

    return write


def _made_moment(kind: Any) -> Callable[..., Any]:
    def read(fields: list[int], zone: list[Any], fold: int) -> Any:
        return kind(*fields, tzinfo=_made_zone(*zone) if zone else None, fold=fold)

    return read


_CLOCK = ("hour", "minute", "second", "microsecond")
LEAVES: Mapping[type, Leaf] = {
    int: Leaf("int", lambda value: [hex(value)], lambda text: int(text, 16)),
    complex: Leaf("complex", lambda value: [value.real, value.imag], complex),
    bytes: Leaf("bytes", lambda value: [value.hex()], bytes.fromhex),
    range: Leaf(
        "range",
        lambda value: [hex(part) for part in (value.start, value.stop, value.step)],
        lambda *parts: range(*(int(part, 16) for part in parts)),
    ),
    Decimal: Leaf("decimal", lambda value: [str(value)], Decimal),
    Fraction: Leaf(
        "fraction",
        lambda value: [hex(value.numerator), hex(value.denominator)],
        lambda *parts: Fraction(*(int(part, 16) for part in parts)),
    ),
    date: Leaf("date", lambda value: [value.year, value.month, value.day], date),
    datetime: Leaf("datetime", _moment("year", "month", "day", *_CLOCK), _made_moment(datetime)),
    time: Leaf("time", _moment(*_CLOCK), _made_moment(time)),
    timedelta: Leaf(
        "timedelta", lambda value: [value.days, value.seconds, value.microseconds], timedelta
    ),
    timezone: Leaf("timezone", _fixed, _made_zone),
}

#: Types of items that cannot be changed, and their readers. A view is one of a dict made here.
COMPOUNDS: Mapping[type, str] = {
    tuple: "tuple",
    frozenset: "frozenset",
    Read: "iterator",
    **{
        type(view): name
        for each in (dict[Any, Any](), OrderedDict[Any, Any]())
        for name, view in (
            ("keys", each.keys()),
            ("values", each.values()),
            ("items", each.items()),
        )
    },
}
READERS: Mapping[str, Callable[[list[Any]], Any]] = {
    "tuple": tuple,
    "frozenset": frozenset,
    "iterator": Read,
    "keys": lambda items: dict.fromkeys(items).keys(),
    "values": lambda items: dict(enumerate(items)).values(),
    "items": lambda items: dict(items).items(),
}


def _flat(items: Iterable[tuple[Any, Any]]) -> list[Any]:
    return [part for pair in items for part in pair]


def _fill_dict(mine: dict[Any, Any], flat: list[Any]) -> None:
    """By the methods of dict itself: Counter's own would add up."""
    mine.clear()
    for key, value in zip(flat[::2], flat[1::2], strict=True):
        mine[key] = value  # noqa: PERF403 - an ordered dict has no other way


def _fill_set(mine: set[Any], items: list[Any]) -> None:
    mine.clear()
    mine.update(items)


def _fill_deque(mine: deque[Any], items: list[Any]) -> None:
    mine.clear()
    mine.extend(items)


def _fill_list(mine: list[Any], items: list[Any]) -> None:
    mine[:] = items


def _fill_bytes(mine: bytearray, text: str) -> None:
    mine[:] = bytes.fromhex(text)


_FACTORIES: Mapping[str, Any] = {
    each.__name__: each for each in (int, float, complex, str, bool, list, tuple, dict, set)
}


def _factory(value: defaultdict[Any, Any]) -> list[Any]:
    factory = value.default_factory
    return [None if factory is None else getattr(factory, "__name__", "")]


def _known_factory(value: defaultdict[Any, Any]) -> bool:
    return value.default_factory in (None, *_FACTORIES.values())


def _default(factory: str | None) -> defaultdict[Any, Any]:
    return defaultdict(None if factory is None else _FACTORIES[factory])


#: By type, a type before its bases.
MUTABLES: Mapping[type, Mutable] = {
    Counter: Mutable("Counter", lambda v: _flat(dict.items(v)), _fill_dict, Counter),
    OrderedDict: Mutable(
        "OrderedDict", lambda v: _flat(OrderedDict.items(v)), _fill_dict, OrderedDict
    ),
    defaultdict: Mutable(
        "defaultdict",
        lambda v: _flat(dict.items(v)),
        _fill_dict,
        _default,
        _factory,
        _known_factory,
    ),
    dict: Mutable("dict", lambda v: _flat(dict.items(v)), _fill_dict, dict),
    deque: Mutable(
        "deque",
        deque.__iter__,
        _fill_deque,
        lambda most: deque(maxlen=most),
        lambda v: [deque.maxlen.__get__(v)],
    ),
    list: Mutable("list", list.__iter__, _fill_list, list),
    set: Mutable("set", set.__iter__, _fill_set, set),
    bytearray: Mutable("bytearray", bytearray.hex, _fill_bytes, bytearray, text=True),
}
