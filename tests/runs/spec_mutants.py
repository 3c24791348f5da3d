"""Spec files with one to three mistakes in them, drawn from a seed: in bytes, lines and values."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from random import Random
from typing import Any

import yaml

from harness.spec.form import fields

#: What people, editors and programs put where a value belongs; the mark stands between two.
VALUES = (
    *re.split(
        r" ¦ |\n",
        r"""~ ¦ null ¦ true ¦ no ¦ 0 ¦ -1 ¦ 1.5 ¦ 1e400 ¦ -1e400 ¦ .nan ¦ -.inf ¦ 0x1F ¦ = ¦ <<
[] ¦ {} ¦ [1] ¦ [[]] ¦ [null] ¦ {a: 1} ¦ [0, 0] ¦ [''] ¦ '' ¦ '0' ¦ '9' ¦ x ¦ 1_0 ¦ - - - 1
. ¦ .. ¦ ../.. ¦ / ¦ /dev/zero ¦ /dev/null ¦ /etc/passwd ¦ ~root ¦ ~nobody/x ¦ ./x
!!int '' ¦ !!int x ¦ !!bool maybe ¦ !!float x ¦ !!null x ¦ !!str 3 ¦ !!timestamp x ¦ !own x
!!binary aGk= ¦ !!set {a} ¦ !!omap [a: 1] ¦ !!python/name:os.system x ¦ !!map []
"\e[31m" ¦ "\0" ¦ "\ud83d" ¦ "\u202e" ¦ "a\nb" ¦ "\t" ¦ "\UFFFFFFFF"
*nowhere ¦ &a [*a] ¦ &a {b: *a} ¦ {<<: 1} ¦ {<<: [1]} ¦ {? [1] : 2} ¦ {1: 2} ¦ {'': 1}
2026-01-31 ¦ 2026-02-30 ¦ 12:30:45 ¦ cpu ¦ cuda:99 ¦ vllm ¦ agentic ¦ zoo/moe ¦ zoo/
humaneval ¦ gsm8k ¦ intervention.count ¦ router_mask ¦ steering ¦ dac ¦ {random: 1} ¦ {file: x}
avg_all_agentic ¦ {usage: avg_last_agentic - avg_last_agentic} ¦ {low: 0, high: 1, step: 2}
neutral_equals_baseline ¦ pass@1 >= 0 ¦ same across seed""",
    ),
    "",
    "9" * 400,
    "9" * 5000,
    f"{'9' * 400}.5",
    str(2**63),
    str(-(2**63) - 1),
    "\u202etxt",
    "x" * 5000,
    "é" * 300,
    "[" * 1000,
    "[" * 40 + "]" * 40,
    "{a: " * 40 + "1" + "}" * 40,
    f"[{', '.join('abcdefgh' * 40)}]",
)
_MULTIPLYING = "a: &a [1,1,1,1,1,1,1,1,1,1]\n" + "".join(
    f"{own}: &{own} [{', '.join([f'*{last}'] * 10)}]\n"
    for last, own in zip("abcdefgh", "bcdefghi", strict=True)
)
_LINES = (
    *re.split(
        r" ¦ |\n",
        r"""extends: /etc/passwd ¦ extends: x.yaml ¦ extends: . ¦ extends: '' ¦ extends: [a] ¦ ---
... ¦ x
%YAML 9.9 ¦ %TAG ! x ¦ name: again ¦ <<: {seed: -1} ¦ - 1 ¦ ? a ¦ '\': 1 ¦ a b: 1 ¦ !!set
axes: {} ¦ axes: {seed: []} ¦ axes: {seed: 1} ¦ axes: {seed: [1, 1.0]} ¦ axes: {name: [a]}
axes: {'': [1]} ¦ dose: seed ¦ search: {} ¦ intervention: {} ¦ task: {data: x} ¦ prompt: {style: 1}
gates: [x] ¦ measure: forward ¦ seed: 1.0""",
    ),
    "\tx: 1",
    "\x07",
    _MULTIPLYING,
)


def mutant(text: str, random: Random) -> bytes:
    """One to three mutations of a spec's text; bytes, because it need not be text any more."""
    data = text.encode()
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        data = random.choice(_MUTATIONS)(data, random)
    return data


def _byte(data: bytes, random: Random) -> bytes:
    at, found = random.randrange(len(data) + 1), bytearray(data)
    found[at : at + random.randint(0, 2)] = random.randbytes(random.randint(0, 2))
    return bytes(found)


def _punctuation(data: bytes, random: Random) -> bytes:
    at, found = random.randrange(len(data) + 1), bytearray(data)
    found[at : at + random.randint(0, 1)] = random.choice(b"[]{},:#&*!|>'\"%@`-? \n\t\\").to_bytes()
    return bytes(found)


def _cut(data: bytes, random: Random) -> bytes:
    return data[: random.randrange(len(data) + 1)]


def _wrapped(data: bytes, random: Random) -> bytes:
    before, after = random.choice(
        (
            (b"\xef\xbb\xbf", b""),
            (b"\xff\xfe", b""),
            (b"", b"\0"),
            (b"x:\n", b""),
            (b"- ", b""),
            (b"", b"\n---\n{}"),
        )
    )
    return before + data + after


def _line(data: bytes, random: Random) -> bytes:
    lines = data.split(b"\n")
    at, other = random.randrange(len(lines)), random.randrange(len(lines))
    match random.randrange(7):
        case 0:
            del lines[at]
        case 1:
            lines.insert(other, lines[at])
        case 2:
            lines[at], lines[other] = lines[other], lines[at]
        case 3:
            lines[at] = b"  " + lines[at]
        case 4:
            lines[at] = lines[at].removeprefix(b"  ")
        case 5:
            lines[at] += b"\r"
        case _:
            lines.insert(at, random.choice(_LINES).encode())
    return b"\n".join(lines)


def _value(data: bytes, random: Random) -> bytes:
    """Another value behind a key, or in a list."""
    places = list(re.finditer(rb"(?<=[:\[,] )[^\s\[\]{},:#]+", data))
    if not places:
        return _line(data, random)
    place = random.choice(places)
    value = random.choice(VALUES).encode()
    return data[: place.start()] + value + data[place.end() :]


def _tag(data: bytes, random: Random) -> bytes:
    """A tag, an anchor or an alias in front of what is there."""
    places = list(re.finditer(rb"(?<=[:\[,] )(?=\S)", data))
    if not places:
        return _line(data, random)
    at = random.choice(places).start()
    marks = ("!!int ", "!!str ", "!!bool ", "!!float ", "!!null ", "!!timestamp ", "!!binary ")
    marks += (
        "!!map ",
        "!!seq ",
        "!!set ",
        "! ",
        "!x ",
        "!!python/object:os.x ",
        "&a ",
        "*a ",
        "- ",
    )
    return data[:at] + random.choice(marks).encode() + data[at:]


def _word(data: bytes, random: Random) -> bytes:
    """A letter of a word dropped or doubled: what fingers do."""
    at = random.choice([m.start() for m in re.finditer(rb"\w", data)] or [0])
    return data[:at] + data[at : at + 1] * random.choice((0, 2)) + data[at + 1 :]


def _shape(data: bytes, random: Random) -> bytes:
    """The document's tree with one node moved, dropped, wrapped or replaced."""
    try:
        tree = yaml.safe_load(data)
    except Exception:  # a mutation before this one; PyYAML raises whatever Python does
        return _line(data, random)
    if not isinstance(tree, dict) or not tree:
        return _line(data, random)
    nodes: list[tuple[Any, Any]] = []

    def collect(node: Any) -> None:
        for key in list(node) if isinstance(node, dict) else range(len(node)):
            nodes.append((node, key))
            if isinstance(node[key], dict | list) and len(nodes) < 500:
                collect(node[key])

    collect(tree)
    parent, key = random.choice(nodes)
    other = copy.deepcopy(random.choice(nodes))
    match random.randrange(5):
        case 0:
            del parent[key]
        case 1:
            parent[key] = [parent[key]]
        case 2:
            parent[key] = {str(key): parent[key]}
        case 3:
            parent[key] = copy.deepcopy(other[0][other[1]])
        case _:
            parent[key] = random.choice((None, True, -1, 0, 10**30, "", "x", [], {}, 0.5, [None]))
    try:
        return yaml.safe_dump(tree, sort_keys=False, allow_unicode=True).encode()
    except (yaml.YAMLError, UnicodeEncodeError):
        return _line(data, random)


def _field(data: bytes, random: Random) -> bytes:
    """A field of the form, any one, set in the text to something of any type."""
    field, value = random.choice(sorted(fields())), random.choice(VALUES)
    axis = random.random() < 0.3
    opened = "axes: {" if axis else "".join(f"{part}: {{" for part in field.split(".")[:-1])
    key = f"{field}: [{value}, {random.choice(VALUES)}]" if axis else field.rpartition(".")[2]
    line = f"{opened}{key if axis else f'{key}: {value}'}{'}' * opened.count('{')}"
    section = line.partition(":")[0].encode()
    # In place of what the text has under this key, or it would only be given twice.
    kept = re.sub(rb"(?m)^" + section + rb":.*\n?(?:[ -].*\n?)*", b"", data)
    return kept + b"\n" + line.encode() + b"\n"


_MUTATIONS: tuple[Callable[[bytes, Random], bytes], ...] = (
    _byte,
    _punctuation,
    _cut,
    _wrapped,
    _word,
    _tag,
    _shape,
    *(_line, _line),
    *(_value, _value, _value),
    *(_field, _field, _field),
)
