"""Values as plain data: how arguments and results cross between judge and candidate.

    [1, (2.5, "x")]   <->   ["list", [1, ["tuple", [2.5, "x"]]]]

Whatever is decoded is of a built-in type, made here: no method of the other side comes along.
Subclasses are lowered to their built-in base (Counter, namedtuple, numpy's scalars), iterators are
read out; any other object becomes an `Opaque`, which equals nothing. So do values nested deeper
than any honest answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from fractions import Fraction
from itertools import islice
from typing import Any

_DEEPEST = 100
_LONGEST_ITERATOR = 1_000_000
_SMALL = 1 << 53  # larger integers are written in base 16: reading them takes linear time


class Opaque:
    """An object that could not cross: equal to nothing but itself."""

    def __init__(self, kind: str) -> None:
        self._kind = kind

    def __repr__(self) -> str:
        return f"<{self._kind} object>"


class NotPlainError(TypeError):
    """A value that has no exact copy as plain data."""


def encode(value: Any, depth: int = 0) -> Any:
    """The value as JSON types. Runs in the candidate, on objects that may lie about themselves."""
    kind = type(value)
    if kind in _AS_THEY_ARE or (kind is int and -_SMALL < value < _SMALL):
        return value
    encoder = _ENCODERS.get(kind)
    if depth > _DEEPEST:
        return ["opaque", "deeply nested"]
    if encoder is not None:
        return encoder(value, depth + 1)
    lowered = _lowered(value)
    if lowered is None:
        return ["opaque", kind.__name__[:60]]
    return encode(lowered, depth + 1)


def encode_exactly(value: Any) -> Any:
    """The same for trusted values; raises NotPlainError instead of changing one."""
    encoded = encode(value)
    if _lossy(value):
        raise NotPlainError(f"{type(value).__name__} in {value!r:.60}")
    return encoded


def decode(encoded: Any) -> Any:
    """The value; raises ValueError or TypeError for what `encode` never writes."""
    if type(encoded) is not list:
        if encoded is not None and type(encoded) not in (*_AS_THEY_ARE, int):
            raise ValueError(f"{type(encoded).__name__} outside of an encoding")
        return encoded
    kind, content = encoded
    decoder = _DECODERS.get(kind)
    if decoder is None:
        raise ValueError(f"{kind!r:.60} is no kind of plain data")
    return decoder(content)


def write_back(arguments: Any, changed: Any) -> None:
    """Repeat on the caller's arguments what a call did to its copies of them."""
    for mine, theirs in zip(arguments, changed, strict=True):
        if type(mine) is not type(theirs):
            continue
        if isinstance(mine, list | bytearray):
            mine[:] = theirs
        elif isinstance(mine, dict | set):
            mine.clear()
            mine.update(theirs)


def _lowered(value: Any) -> Any:
    """The value as its built-in base has it, by the base's own methods; None for other objects."""
    for base, lower in _BASES:
        if isinstance(value, base):
            return lower(value)
    if isinstance(value, Iterator):
        return _Read(list(islice(value, _LONGEST_ITERATOR)))
    if hasattr(value, "dtype") and getattr(value, "shape", None) == ():
        return value.item()  # numpy's scalars that are not Python numbers already
    return None


class _Read(list[Any]):
    """What an iterator gave."""


def _lossy(value: Any) -> bool:
    if isinstance(value, dict):
        return type(value) is not dict or any(map(_lossy, [*value, *value.values()]))
    if isinstance(value, list | tuple | set | frozenset):
        return type(value) not in _ENCODERS or any(map(_lossy, value))
    return type(value) not in _ENCODERS and type(value) not in _AS_THEY_ARE


def _items(kind: str) -> Callable[[Any, int], Any]:
    return lambda value, depth: [kind, [encode(item, depth) for item in value]]


def _pairs(value: dict[Any, Any], depth: int) -> Any:
    return ["dict", [[encode(key, depth), encode(item, depth)] for key, item in value.items()]]


_AS_THEY_ARE = (bool, float, str, type(None))
_ENCODERS: dict[type, Callable[[Any, int], Any]] = {
    int: lambda value, _: ["int", hex(value)],
    complex: lambda value, _: ["complex", [value.real, value.imag]],
    bytes: lambda value, _: ["bytes", value.hex()],
    bytearray: lambda value, _: ["bytearray", value.hex()],
    range: lambda value, _: ["range", [encode(part) for part in _bounds(value)]],
    Decimal: lambda value, _: ["decimal", str(value)],
    Fraction: lambda value, _: ["fraction", [hex(value.numerator), hex(value.denominator)]],
    type({}.keys()): _items("keys"),
    list: _items("list"),
    tuple: _items("tuple"),
    set: _items("set"),
    frozenset: _items("frozenset"),
    _Read: _items("iterator"),
    dict: _pairs,
}
_BASES: tuple[tuple[type, Callable[[Any], Any]], ...] = (
    (dict, lambda value: dict(dict.items(value))),
    (list, lambda value: list(list.__iter__(value))),
    (tuple, lambda value: tuple(tuple.__iter__(value))),
    (frozenset, lambda value: frozenset(frozenset.__iter__(value))),
    (set, lambda value: set(set.__iter__(value))),
    (str, lambda value: str.__add__(value, "")),
    (int, int.__int__),
    (float, float.__float__),
    (bytes, lambda value: bytes.__add__(value, b"")),
)
_DECODERS: dict[str, Callable[[Any], Any]] = {
    "int": lambda text: int(text, 16),
    "complex": lambda parts: complex(*parts),
    "bytes": bytes.fromhex,
    "bytearray": bytearray.fromhex,
    "range": lambda parts: range(*map(decode, parts)),
    "decimal": Decimal,
    "fraction": lambda parts: Fraction(*(int(part, 16) for part in parts)),
    "keys": lambda items: dict.fromkeys(decode(item) for item in items).keys(),
    "list": lambda items: [decode(item) for item in items],
    "tuple": lambda items: tuple(decode(item) for item in items),
    "set": lambda items: {decode(item) for item in items},
    "frozenset": lambda items: frozenset(decode(item) for item in items),
    "iterator": lambda items: iter([decode(item) for item in items]),
    "dict": lambda pairs: {decode(key): decode(item) for key, item in pairs},
    "opaque": lambda kind: Opaque(str(kind)),
}


def _bounds(value: range) -> tuple[int, int, int]:
    return value.start, value.stop, value.step
