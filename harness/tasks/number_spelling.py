r"""The many ways to write a number, made one: LaTeX and typography as plain characters.

    $1{,}200$, 1\,200          ->  1,200 and 1 200
    -\$5, (U+2212)5            ->  -$5, -5
    \dfrac{1}{2}, 1½           ->  1/2, 1 1/2
    \text{18 dollars}          ->  18 dollars
    1.5 \times 10^{3}          ->  1.5 * 10^3

Rules are tables in the order in which they apply. Nothing here decides which number counts.
"""

from __future__ import annotations

import re
import unicodedata

#: What characters stand for; also the full-width forms of ASCII, and the digits of every script.
_CHARACTERS = {
    "-": "\u2010\u2011\u2012\u2013\u2212\ufe63\u2796",
    " ": "\u00a0\u202f\u205f\u3000\t" + "".join(map(chr, range(0x2000, 0x200B))),
    "": "\u200b\u200c\u200d\u2060\ufeff\u00ad",
    "'": "\u2018\u2019\u02bc\u02b9\u2032",
    "*": "\u00d7\u00b7\u22c5\u2217\u2715\u2716",
    "/": "\u2044\u2215",
    "~": "\u2248",
}
_FULL_WIDTH = {code: chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)}
_CHARACTER = _FULL_WIDTH | {ord(old): new for new, many in _CHARACTERS.items() for old in many}
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
_VULGAR = re.compile(r"(?:(?P<whole>\d)\s?)?(?P<part>[\u00bc-\u00be\u2150-\u215e\u2189])")
_SUPERSCRIPT = re.compile(r"(?<=\d)[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+")

#: LaTeX, and tags, that mean one character or none.
_LATEX = (
    (re.compile(r"</?[a-zA-Z][a-zA-Z0-9]*>"), ""),
    (re.compile(r"\\(?:left|right|big|Big|bigg|Bigg|displaystyle|!|\(|\)|\[|\])(?![a-zA-Z])"), ""),
    (re.compile(r"\{,\}"), ","),
    (
        re.compile(
            r"\{\\,\}|\\(?:[,;:> ]|quad|qquad|enspace|thinspace)(?![a-zA-Z])|(?<=\d)~(?=\d)"
        ),
        " ",
    ),
    (re.compile(r"\\(?:times|cdot|ast)(?![a-zA-Z])"), "*"),
    (re.compile(r"\\(?:approx|simeq)(?![a-zA-Z])"), "~"),
    (re.compile(r"\\(?:div|slash)(?![a-zA-Z])"), "/"),
    (re.compile(r"\\([$%#&_{}])"), r"\1"),
    (re.compile(r"\\(?:pounds|textsterling|euro|texteuro)(?![a-zA-Z])(?:\{\})?"), "$"),
    (re.compile(r"\\(?:textdollar|dollar)(?![a-zA-Z])(?:\{\})?"), "$"),
)
#: Commands around text, innermost first; `\boxed` stays, because answers are found by it.
_WRAPPED = re.compile(
    r"\\(?:text|textbf|textit|textrm|mathrm|mathbf|mathit|mathsf|mbox|bf|bm|boldsymbol|underline"
    r"|emph|operatorname|num|color|fbox)\s*\{([^{}]*)\}"
)
_FRACTION = re.compile(
    r"(?:(?P<before>\d)\s*)?\\[dtc]?frac\s*(?:\{\s*(?P<over>-?[\d,.]+)\s*\}\s*\{\s*(?P<under>[\d,.]+)\s*\}"
    r"|(?P<o>\d)\s*(?P<u>\d))"
)
_POWER = re.compile(r"\^\s*\{\s*(-?\d+)\s*\}")


def plain(text: str) -> str:
    """A text whose numbers are written in ASCII, without LaTeX around them; the rest as it is."""
    text = _SUPERSCRIPT.sub(lambda m: "^" + m.group().translate(_SUPERSCRIPTS), text)
    text = "".join(map(_ascii_digit, text)).translate(_CHARACTER)
    text = _VULGAR.sub(_spelled_fraction, text)
    for pattern, plain_form in _LATEX:
        text = pattern.sub(plain_form, text)
    while (unwrapped := _WRAPPED.sub(r" \1 ", text)) != text:
        text = unwrapped
    text = _FRACTION.sub(_fraction, text)
    return _POWER.sub(r"^\1", text)


def _ascii_digit(character: str) -> str:
    """A decimal digit of any script as its ASCII digit."""
    value = unicodedata.decimal(character, None)
    return character if value is None or character.isascii() else str(value)


def _spelled_fraction(found: re.Match[str]) -> str:
    over, _, under = unicodedata.normalize("NFKD", found["part"]).partition("\u2044")
    return f"{found['whole']} {over}/{under}" if found["whole"] else f"{over}/{under}"


def _fraction(found: re.Match[str]) -> str:
    over, under = found["over"] or found["o"], found["under"] or found["u"]
    return f"{found['before']} {over}/{under}" if found["before"] else f"{over}/{under}"
