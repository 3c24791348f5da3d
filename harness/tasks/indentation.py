"""Python lines moved sideways: every line of code by the same amount, the text of strings by none.

What is measured is where statements begin. Lines inside brackets, comments and the text of
multi-line strings may stand further left than the code around them and say nothing about it.
"""

from __future__ import annotations

import io
import tokenize
from collections.abc import Iterator

_TAB = 4
_SILENT = (
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.COMMENT,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
)


def moved(source: str, indent: str = "") -> str:
    """Source whose outermost statements begin at `indent`; tabs in front of code as four spaces.

    Blank lines at the ends are dropped and those between emptied.
    """
    return "\n".join(_moved(_filled(source), indent))


def forms(source: str, indent: str = "") -> Iterator[str]:
    """What a source may have meant: `moved`, or that without its first line, or where it stands.

    An answer that is stripped loses the indent of its first line; a body may have code at the
    margin behind it. The first form that is Python is what was meant.
    """
    lines = _filled(source)
    yield "\n".join(_moved(lines, indent))
    if len(lines) > 1:
        first, rest = indent + lines[0].lstrip(), lines[1:]
        begun, quoted = _layout("\n".join(rest))
        spaced = _spaced(rest, quoted)
        if all(_width(_spaces(lines[0])) < _width(spaced[index]) for index in begun):
            yield "\n".join([first, *_moved(rest, indent)])
        yield "\n".join([first, *spaced])


def _moved(lines: list[str], indent: str) -> list[str]:
    begun, quoted = _layout("\n".join(lines))
    spaced = _spaced(lines, quoted)
    least = min((_width(spaced[index]) for index in begun), default=0)
    return [
        line if index in quoted or not line else indent + line[min(least, _width(line)) :]
        for index, line in enumerate(spaced)
    ]


def _spaced(lines: list[str], quoted: set[int]) -> list[str]:
    """Lines with spaces for the tabs in front of code, and nothing on blank ones."""
    return [
        line if index in quoted else _spaces(line) + line.lstrip(" \t") if line.strip() else ""
        for index, line in enumerate(lines)
    ]


def _layout(source: str) -> tuple[list[int], set[int]]:
    """The lines at which statements begin, and those that begin inside a string.

    Read behind an opening bracket, where the tokenizer does not care about indentation: whatever
    is wrong with it is what the caller wants to mend.
    """
    begun: list[int] = []
    quoted: set[int] = set()
    depth, last = 0, -1
    lines = source.split("\n")
    try:
        for token in tokenize.generate_tokens(io.StringIO("(\n" + source + "\n").readline):
            first, end = token.start[0] - 2, token.end[0] - 2
            if first < 0 or token.type in _SILENT:
                continue
            continued = first > 0 and lines[first - 1].endswith("\\")
            if first > last and depth == 0 and first not in quoted and not continued:
                begun.append(first)
            quoted.update(range(first + 1, end + 1))
            last = end
            if token.type == tokenize.OP:
                depth = max(0, depth + (token.string in "([{") - (token.string in ")]}"))
    except (tokenize.TokenError, SyntaxError):
        # The end, inside our bracket; or what no tokenizer reads, whose lines count as they stand.
        rest = range(last + 1, len(lines))
        if depth == 0:
            begun += [index for index in rest if _is_code(lines[index]) and index not in quoted]
    return begun or [index for index, line in enumerate(lines) if line.strip()], quoted


def _is_code(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith("#")


def _filled(source: str) -> list[str]:
    """Lines without blank ones at the ends."""
    lines = source.split("\n")
    filled = [index for index, line in enumerate(lines) if line.strip()]
    return lines[filled[0] : filled[-1] + 1] if filled else []


def _spaces(line: str) -> str:
    return line[: len(line) - len(line.lstrip(" \t"))].replace("\t", " " * _TAB)


def _width(line: str) -> int:
    return len(line) - len(line.lstrip(" "))
