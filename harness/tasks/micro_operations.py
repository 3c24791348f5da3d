"""The vocabulary of micro HumanEval: small operations on integers, texts and lists of integers.

An operation is written once, as an expression with blanks. The blanks are filled with names and
literals to make source code, and with argument names to make the function that computes the
expected result, so that wording, code and meaning cannot drift apart.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any, Literal

DataType = Literal["integer", "text", "list", "truth"]
Value = int | str | list[int] | bool
Constants = dict[str, int | str]

WORDS = ("ab", "cat", "dog", "sun", "red", "hi", "ok", "fox", "pie", "map", "tea", "zip")
LETTERS = "abcdeorst"

_BLANKS: dict[str, Callable[[Random], int | str]] = {
    "number": lambda random: random.randint(2, 12),
    "few": lambda random: random.randint(2, 5),
    "word": lambda random: random.choice(WORDS),
    "letter": lambda random: random.choice(LETTERS),
    "other": lambda random: random.choice(LETTERS),
}


@dataclass(frozen=True, slots=True)
class Operation:
    """One step of a program: what it takes and gives, how it is said and how it is written.

    Phrases and the expression contain `{it}` for the value and a blank per constant.
    """

    name: str
    takes: DataType
    gives: DataType
    phrases: tuple[str, ...]
    expression: str
    blanks: tuple[str, ...] = ()
    apply: Callable[..., Any] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        code = self.expression.format(it="it", **{blank: blank for blank in self.blanks})
        arguments = ", ".join(("it", *self.blanks))
        # The expressions are the literals below; compiling them once is what makes drawing fast.
        object.__setattr__(self, "apply", eval(f"lambda {arguments}: {code}"))  # noqa: S307

    def draw_constants(self, random: Random) -> Constants:
        """Constants for the blanks; two letters of one operation always differ."""
        constants = {blank: _BLANKS[blank](random) for blank in self.blanks}
        while "other" in constants and constants["other"] == constants["letter"]:
            constants["other"] = _BLANKS["other"](random)
        return constants

    def source(self, name: str, constants: Constants) -> str:
        """The expression on the variable `name`, as Python source."""
        literals = {blank: repr(constant) for blank, constant in constants.items()}
        return self.expression.format(it=name, **literals)

    def key(self, constants: Constants) -> str:
        """What is asked, without how it is said."""
        return ":".join((self.name, *(str(constants[blank]) for blank in self.blanks)))


def _operations(
    takes: DataType, rows: dict[str, tuple[DataType, tuple[str, ...], str]]
) -> tuple[Operation, ...]:
    return tuple(
        Operation(
            name,
            takes,
            gives,
            phrases,
            expression,
            tuple(blank for blank in _BLANKS if f"{{{blank}}}" in expression),
        )
        for name, (gives, phrases, expression) in rows.items()
    )


_INTEGER = _operations(
    "integer",
    {
        "add": (
            "integer",
            ("add {number} to {it}", "increase {it} by {number}"),
            "{it} + {number}",
        ),
        "subtract": (
            "integer",
            ("subtract {number} from {it}", "decrease {it} by {number}"),
            "{it} - {number}",
        ),
        "multiply": (
            "integer",
            ("multiply {it} by {number}", "scale {it} by {number}"),
            "{it} * {number}",
        ),
        "remainder": (
            "integer",
            ("take the remainder of {it} divided by {number}", "take {it} modulo {number}"),
            "{it} % {number}",
        ),
        "divide": ("integer", ("divide {it} by {number} rounding down",), "{it} // {number}"),
        "square": ("integer", ("square {it}",), "{it} * {it}"),
        "negate": ("integer", ("negate {it}",), "-{it}"),
        "absolute": ("integer", ("take the absolute value of {it}",), "abs({it})"),
        "at_least": ("integer", ("raise {it} to at least {number}",), "max({it}, {number})"),
        "at_most": ("integer", ("limit {it} to at most {number}",), "min({it}, {number})"),
        "above": ("truth", ("check if {it} is greater than {number}",), "{it} > {number}"),
        "below": ("truth", ("check if {it} is less than {number}",), "{it} < {number}"),
        "even": ("truth", ("check if {it} is even",), "{it} % 2 == 0"),
        "divisible": ("truth", ("check if {it} is divisible by {number}",), "{it} % {number} == 0"),
    },
)
_TEXT = _operations(
    "text",
    {
        "upper": ("text", ("convert {it} to upper case", "make {it} upper case"), "{it}.upper()"),
        "lower": ("text", ("convert {it} to lower case", "make {it} lower case"), "{it}.lower()"),
        "reverse": ("text", ("reverse {it}",), "{it}[::-1]"),
        "repeat": ("text", ("repeat {it} {few} times",), "{it} * {few}"),
        "head": ("text", ("keep the first {few} letters of {it}",), "{it}[:{few}]"),
        "tail": ("text", ("keep the last {few} letters of {it}",), "{it}[-{few}:]"),
        "append": ("text", ("append '{word}' to {it}", "put '{word}' after {it}"), "{it} + {word}"),
        "prepend": (
            "text",
            ("prepend '{word}' to {it}", "put '{word}' before {it}"),
            "{word} + {it}",
        ),
        "remove": ("text", ("remove every '{letter}' from {it}",), "{it}.replace({letter}, '')"),
        "replace": (
            "text",
            ("replace '{letter}' with '{other}' in {it}",),
            "{it}.replace({letter}, {other})",
        ),
        "length": ("integer", ("count the letters of {it}",), "len({it})"),
        "count": ("integer", ("count '{letter}' in {it}",), "{it}.count({letter})"),
        "starts": ("truth", ("check if {it} starts with '{letter}'",), "{it}.startswith({letter})"),
        "ends": ("truth", ("check if {it} ends with '{letter}'",), "{it}.endswith({letter})"),
    },
)
_LIST = _operations(
    "list",
    {
        "sort": ("list", ("sort {it}",), "sorted({it})"),
        "sort_down": ("list", ("sort {it} in descending order",), "sorted({it}, reverse=True)"),
        "flip": ("list", ("reverse {it}",), "{it}[::-1]"),
        "take": ("list", ("keep the first {few} items of {it}",), "{it}[:{few}]"),
        "drop": ("list", ("drop the first {few} items of {it}",), "{it}[{few}:]"),
        "add_each": (
            "list",
            ("add {number} to each item of {it}",),
            "[i + {number} for i in {it}]",
        ),
        "multiply_each": (
            "list",
            ("multiply each item of {it} by {number}",),
            "[i * {number} for i in {it}]",
        ),
        "keep_above": (
            "list",
            ("keep items of {it} greater than {number}",),
            "[i for i in {it} if i > {number}]",
        ),
        "keep_below": (
            "list",
            ("keep items of {it} less than {number}",),
            "[i for i in {it} if i < {number}]",
        ),
        "evens": ("list", ("keep the even items of {it}",), "[i for i in {it} if i % 2 == 0]"),
        "odds": ("list", ("keep the odd items of {it}",), "[i for i in {it} if i % 2 == 1]"),
        "push": ("list", ("append {number} to {it}",), "{it} + [{number}]"),
        "total": ("integer", ("sum {it}", "add up {it}"), "sum({it})"),
        "largest": ("integer", ("find the largest item of {it}",), "max({it}, default=0)"),
        "smallest": ("integer", ("find the smallest item of {it}",), "min({it}, default=0)"),
        "items": ("integer", ("count the items of {it}",), "len({it})"),
        "occurrences": ("integer", ("count {number} in {it}",), "{it}.count({number})"),
    },
)

BY_INPUT: dict[DataType, tuple[Operation, ...]] = {
    "integer": _INTEGER,
    "text": _TEXT,
    "list": _LIST,
}
PARAMETERS: dict[DataType, tuple[str, ...]] = {
    "integer": ("x", "n", "a"),
    "text": ("s", "t", "word"),
    "list": ("xs", "nums", "items"),
}
