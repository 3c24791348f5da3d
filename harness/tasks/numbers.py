"""The numbers in a text of plain characters, and their exact values.

    number  = [sign] [currency] amount [suffix]
    amount  = digits, with one kind of separator between groups of three, and a decimal part
    suffix  = "/ 4" | " 3/4" (mixed) | "e3" | "* 10^3" | "^3"

The grammar is the tables below, tried in order. A comma before one or two last digits is a decimal
comma; one before three digits separates thousands, as in English.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

Number = Decimal | Fraction

_END = r"(?![\d]|,\d)"
_AMOUNTS = tuple(
    re.compile(form + _END)
    for form in (
        r"\d{1,3}(?:\.\d{3})+,\d{1,2}",  # 1.200,50
        r"\d{1,3}(?P<mark>[,' _])\d{3}(?:(?P=mark)\d{3})*(?:\.\d+)?",  # 1,200.50
        r"\d{1,2}(?:,\d{2})+,\d{3}(?:\.\d+)?",  # 12,34,567
        r"(?<!\d,)\d{1,300},\d{1,2}",  # 12,50
        r"\d{1,300}(?:\.\d{1,300})?",
        r"\.\d{1,300}",
    )
)
#: Where no form ends well, the digits alone: a list without blanks (1,2,3) is several numbers.
_DIGITS = re.compile(r"\d{1,300}(?!\d)")

_Suffix = Callable[[Fraction, re.Match[str]], Fraction]
_SUFFIXES: tuple[tuple[re.Pattern[str], _Suffix], ...] = (
    (re.compile(r" ?/ ?(\d{1,300})(?![\d/]|\.\d)"), lambda v, m: v / int(m[1])),
    (
        re.compile(r" (\d{1,3}) ?/ ?(\d{1,3})(?![\d/])"),
        lambda v, m: v + Fraction(int(m[1]), int(m[2])),
    ),
    (re.compile(r"[eE]([+-]?\d{1,3})(?!\w)"), lambda v, m: v * Fraction(10) ** int(m[1])),
    (re.compile(r" ?[*x] ?10\^(-?\d{1,3})(?!\d)"), lambda v, m: v * Fraction(10) ** int(m[1])),
    (re.compile(r"\^(\d{1,2})(?!\d)"), lambda v, m: v ** int(m[1])),
)
_FIRST_DIGIT = re.compile(r"\.?\d")
_ALL_DIGITS = re.compile(r"\.?\d+")
#: A dash after an amount or a word stands between two things and is not a sign.
_BEFORE = re.compile(
    r"(?:(?<![\w)%.\]}])(?P<outer>-)|(?P<word>(?i:\bnegative\s)))?"
    r"(?:(?:(?:\b(?:US|AU|CA))?[$€£¥₹]+|\b(?:USD|EUR|GBP|Rs\.?))\s?(?P<inner>-)?)?$"
)
_LONGEST_BEFORE = 16


def named(number: Number) -> str:
    """A number as text, the same for equal amounts: whole, or a fraction in lowest terms."""
    return str(Fraction(number))


@dataclass(frozen=True, slots=True)
class FoundNumber:
    """A number of a text: its value, and where it begins (its sign included) and ends.

    `attached`: it is part of a word or an exponent of a unit, as in `B12` and `cm^2`.
    """

    value: Number
    start: int
    end: int
    attached: bool


def numbers_in(text: str) -> Iterator[FoundNumber]:
    """The numbers of a text in `plain` characters, from its start."""
    position = 0
    while digit := _FIRST_DIGIT.search(text, position):
        amount = next((m for form in _AMOUNTS if (m := form.match(text, digit.start()))), None)
        amount = amount or _DIGITS.match(text, digit.start())
        if amount is None:  # no number has that many digits
            position = max(m.end() for m in (digit, _ALL_DIGITS.match(text, digit.start())) if m)
            continue
        value, end = _with_suffix(_exact(amount.group()), text, amount.end())
        begin = max(0, amount.start() - _LONGEST_BEFORE)
        before = _BEFORE.search(text[begin : amount.start()])
        start = begin + before.start() if before else amount.start()
        if before and any(before.groupdict().values()):
            value = -value
        yield FoundNumber(_number(value), start, end, _is_attached(text, start))
        position = end


def _with_suffix(value: Fraction, text: str, end: int) -> tuple[Fraction, int]:
    for pattern, apply in _SUFFIXES:
        if found := pattern.match(text, end):
            try:
                return apply(value, found), found.end()
            except ZeroDivisionError:
                break
    return value, end


def _exact(amount: str) -> Fraction:
    whole, point, part = amount, "", ""
    if decimal := re.search(r"[.,](?=\d+$)", amount):
        last = decimal.start()
        grouped = amount[last] == "," and len(amount) - last == 4
        if not grouped:
            whole, point, part = amount[:last], ".", amount[last + 1 :]
    digits = re.sub(r"\D", "", whole) or "0"
    return Fraction(Decimal(f"{digits}{point}{part}"))


def _number(value: Fraction) -> Number:
    """A decimal where the value has an end, so that it compares and prints as one."""
    left, places = value.denominator, 0
    for factor in (2, 5):
        count = 0
        while left % factor == 0:
            left, count = left // factor, count + 1
        places = max(places, count)
    if left > 1:
        return value
    scaled = value.numerator * 10**places // value.denominator
    return Decimal(f"{Decimal(scaled)}E-{places}")


def _is_attached(text: str, start: int) -> bool:
    return re.search(r"(?:[^\W\d_]|\^|[^\W\d_]_)$", text[max(0, start - 2) : start]) is not None
