"""Values as plain data: how arguments and results cross between judge and candidate.

    x = [1]; f(x, (x, 2.5))   ->   arguments [["at", 0], ["tuple", [["at", 0], 2.5]]]
                                   objects   [["list", [1]]]

What can be changed is written once, under a number that both sides know it by for one call: what is
one object here is one object there, also where it is returned, or lies in itself. Whatever is read
is of a type in `kinds`, made here: no method of the other side comes along.

A candidate's subclasses are lowered to their base (namedtuple, numpy's scalars), iterators are read
out. Any other object stays where it is, and the judge gets an `Own`: it equals nothing but itself,
and passed back it is the candidate's object again. So do tuples in tuples deeper than any honest
answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Never

from harness.sandbox.kinds import COMPOUNDS, LEAVES, MUTABLES, READERS, SCALARS, Mutable

_DEEPEST = 100
_LONGEST_ITERATOR = 1_000_000
_SMALL = 1 << 53  # larger integers are written in base 16: reading them takes linear time
_PLAIN = SCALARS | {int}


class Own:
    """An object that stays with the candidate: equal to nothing but itself."""

    def __init__(self, number: int, kind: str) -> None:
        self.number = number
        self._kind = kind

    def __repr__(self) -> str:
        return f"<{self._kind} object>"

    def __getattr__(self, name: str) -> Never:
        known = name in {"number", "_kind"}  # of one that is being copied
        raise AttributeError(name if known else f"{self!r} stays with the candidate, {name} too")


class NotPlainError(TypeError):
    """A value that has no exact copy as plain data; `deep`: for its nesting alone."""

    deep = False


class Writer:
    """Values that go out together; `shared` are the objects that both sides know already.

    This is the judge's: it changes no value but refuses it, with NotPlainError.
    """

    def __init__(self, shared: Iterable[Any] = ()) -> None:
        self._written: list[tuple[Any, Mutable]] = []
        self._numbers: dict[int, int] = {}
        for each in shared:
            self._mutable(each, MUTABLES[type(each)])

    @property
    def objects(self) -> list[Any]:
        """All mutable objects, by number."""
        return [value for value, _ in self._written]

    def write(self, value: Any, depth: int = 0) -> Any:
        """The value as JSON types; mutable objects by number."""
        kind = type(value)
        if kind in SCALARS or (kind is int and -_SMALL < value < _SMALL):
            return value
        if kind in MUTABLES and MUTABLES[kind].exact(value):
            return self._mutable(value, MUTABLES[kind])
        if kind in LEAVES:
            leaf = LEAVES[kind]
            written = leaf.write(value)
            return self._other(value, depth) if written is None else [leaf.name, *written]
        if depth > _DEEPEST:
            return self._kept(value, "deeply nested")
        if kind in COMPOUNDS:
            return [COMPOUNDS[kind], self.many(value, depth + 1)]
        return self._other(value, depth)

    def many(self, values: Iterable[Any], depth: int = 0) -> list[Any]:
        """Each of the values."""
        values = list(values)
        kinds = set(map(type, values))
        if kinds <= _PLAIN:
            numbers = [each for each in values if type(each) is int] if int in kinds else [0]
            if min(numbers) > -_SMALL and max(numbers) < _SMALL:
                return values
        return [self.write(value, depth) for value in values]

    def contents(self, first: int = 0) -> list[Any]:
        """What the objects from a number on hold, and those that turn up in them."""
        contents: list[Any] = []
        while first + len(contents) < len(self._written):
            value, kind = self._written[first + len(contents)]
            parts = kind.parts(value)
            written = parts if kind.text else self.many(parts)
            contents.append([kind.name, written, *kind.made_of(value)])
        return contents

    def _mutable(self, value: Any, kind: Mutable) -> Any:
        number = self._numbers.setdefault(id(value), len(self._written))
        if number == len(self._written):
            self._written.append((value, kind))  # which keeps it, so that its id stays its own
        return ["at", number]

    def _other(self, value: Any, depth: int) -> Any:
        del depth
        return ["own", value.number] if type(value) is Own else self._kept(value, "")

    def _kept(self, value: Any, why: str) -> Any:
        error = NotPlainError(f"{why or type(value).__name__} in {shown(value)}")
        error.deep = bool(why)
        raise error


class LoweringWriter(Writer):
    """The candidate's, for objects that may lie about themselves; what cannot go is in `kept`."""

    def __init__(self, kept: dict[int, Any], shared: Iterable[Any] = ()) -> None:
        super().__init__(shared)
        self._stays = kept

    def _other(self, value: Any, depth: int) -> Any:
        bases = type(value).__mro__  # not `isinstance`, which asks the value itself
        for base, kind in MUTABLES.items():
            if base in bases and kind.exact(value):
                return self._mutable(value, kind)
        for base, lower in _BASES:
            if base in bases:
                return self.write(lower(value), depth + 1)
        if isinstance(value, Iterator):
            return ["iterator", self.many(islice(value, _LONGEST_ITERATOR), depth + 1)]
        if hasattr(value, "dtype") and getattr(value, "shape", None) == ():
            return self.write(value.item(), depth + 1)  # numpy's other scalars
        return self._kept(value, "")

    def _kept(self, value: Any, why: str) -> Any:
        self._stays[id(value)] = value
        return ["own", id(value), (why or type(value).__name__)[:60]]


class Reader:
    """Values that came together, from what a `Writer` wrote; any Exception for anything else.

    `own` gives the object for what was written of one that stays with the candidate.
    """

    def __init__(self, own: Callable[..., Any], shared: Iterable[Any] = ()) -> None:
        self._own = own
        self.objects = list(shared)

    def admit(self, contents: Any) -> None:
        """Make the new objects; values that hold them can be read from then on."""
        first = len(self.objects)
        self.objects += [_BY_NAME[name].make(*extra) for name, _, *extra in contents]
        self.refill([[first + place, content] for place, content in enumerate(contents)])

    def refill(self, changes: Any) -> None:
        """Give objects other contents; none of them changes its type."""
        read = []
        for number, (name, parts, *_) in changes:
            kind = MUTABLES[type(self._at(number))]
            if kind is not _BY_NAME[name]:
                raise ValueError(f"a {kind.name} that becomes a {name}")
            read.append((number, parts if kind.text else self.many(parts)))
        for number, parts in read:
            mine = self._at(number)
            MUTABLES[type(mine)].fill(mine, parts)

    def read(self, encoded: Any) -> Any:
        """The value."""
        if type(encoded) is not list:
            if type(encoded) not in _PLAIN:
                raise ValueError(f"{type(encoded).__name__} outside of an encoding")
            return encoded
        kind, *content = encoded
        if kind == "at":
            return self._at(*content)
        if kind == "own":
            return self._own(*content)
        if kind in READERS:
            return READERS[kind](*map(self.many, content))
        return _LEAF_READERS[kind](*content)

    def many(self, encoded: Any) -> list[Any]:
        """Each of them."""
        if type(encoded) is not list:
            raise ValueError(f"{type(encoded).__name__} in the place of several values")
        if set(map(type, encoded)) <= _PLAIN:
            return list(encoded)
        return [self.read(each) for each in encoded]

    def _at(self, number: int) -> Any:
        if type(number) is not int or number < 0:
            raise ValueError(f"{shown(number)} is not a number of an object")
        return self.objects[number]


def shown(value: Any) -> str:
    """What a message says of a value, whatever its `repr` does."""
    try:
        return f"{value!r:.60}"
    except Exception:  # such as an integer of more digits than are written out
        return f"a {type(value).__name__}"


_BY_NAME = {kind.name: kind for kind in MUTABLES.values()}
_LEAF_READERS = {leaf.name: leaf.read for leaf in LEAVES.values()}
_BASES: Sequence[tuple[type, Callable[[Any], Any]]] = (
    (tuple, lambda value: tuple(tuple.__iter__(value))),
    (frozenset, lambda value: frozenset(frozenset.__iter__(value))),
    (str, lambda value: str.__add__(value, "")),
    (int, int.__int__),
    (float, float.__float__),
    (bytes, lambda value: bytes.__add__(value, b"")),
)
