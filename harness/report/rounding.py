"""Numbers as text, rounded alike in terminals, exports and pages: halves away from zero.

The exact value of the float counts, as in JavaScript's toFixed (ECMA-262), which the page uses:
0.125 is 0.13 everywhere, where Python's own formats make it 0.12.
"""

from __future__ import annotations

import math
from decimal import ROUND_HALF_UP, Decimal


def fixed(value: float, digits: int, *, signed: bool = False) -> str:
    """With so many decimals: `0.13`, or `+0.13` where it is `signed`."""
    rounded = Decimal(value).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP)
    return f"{rounded:+f}" if signed else f"{rounded:f}"


def readable(value: float, *, signed: bool = False) -> str:
    """With two decimals, one from 10 on, none from 100 on: `0.13`, `12.3`, `1234`."""
    size = abs(value)
    return fixed(value, 0 if size >= 100 else 1 if size >= 10 else 2, signed=signed)


def significant(value: float, digits: int) -> str:
    """With so many significant digits and no zeros at the end: `0.013`, `0.00013`."""
    exact = Decimal(value)
    if not exact:
        return "0"
    rounded = exact.quantize(Decimal(1).scaleb(exact.adjusted() - digits + 1), ROUND_HALF_UP)
    return f"{float(rounded):.{digits}g}"


def percent(share: float) -> str:
    """A share as whole per cent, without the sign: 0.125 is `13`."""
    return fixed(100 * share, 0)


def ceiling(value: float) -> str:
    """With two decimals, rounded up: what is needed at least."""
    # Of twelve digits, so that 0.07, whose float is a little more, stays 0.07.
    return f"{math.ceil(float(f'{100 * value:.12g}')) / 100:.2f}"
