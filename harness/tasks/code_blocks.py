"""The pieces of an answer that may be code: its fences as CommonMark has them, and bare text.

Fences may be of backticks or tildes, of any length, in lists and quotes, and may hold each other's
marks. Where no fence is usable, the text between lines that look like one is read as it stands:
models forget to open a fence, and start them where CommonMark has none.
"""

from __future__ import annotations

import doctest
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from harness.tasks import indentation, python_source

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

_RAIL = re.compile(r"^[\s>*+\-]*(?:\d+[.)])?[ \t]*(?:`{3,}|~{3,}).*$", re.MULTILINE)
#: How a statement that matters begins. Trying every line of a long text would take minutes.
_START = re.compile(
    r"[ \t]*(?:@|(?:async|class|def|del|for|from|global|if|import|match|nonlocal|pass|raise|return"
    r"|try|while|with|yield)\b|[A-Za-z_][\w.]*(?:\(|\[|[^\n=]{0,80}=(?!=)))"
)
_PYTHON = ("py", "ipy", "ipython", "sage")


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of an answer; `place` names it to a reader, `language` is what its fence says.

    `apart`: no text that is not Python touches it, such as the rest of a broken function.
    """

    source: str
    place: str
    language: str = ""
    apart: bool = True

    @property
    def is_foreign(self) -> bool:
        """Whether it is said to be something else than Python."""
        return bool(self.language) and not self.language.startswith(_PYTHON)


def fenced_blocks(text: str) -> list[Block]:
    """The fences of a text, in order; short code between three backticks counts as one."""
    found = [(language, _grown(text, token)) for language, token in _fences(text)]
    return [
        Block(
            _session(source),
            f"fence {number} of {len(found)}" if len(found) > 1 else "the fence",
            language.lstrip("{.").lower(),
        )
        for number, (language, source) in enumerate(found, start=1)
        if source.strip()
    ]


def bare_stretches(text: str) -> list[Block]:
    """The text between lines that look like the mark of a fence, wherever they stand."""
    found = [stretch for stretch in _RAIL.split(text) if stretch.strip()]
    return [Block(_session(stretch), "the bare text") for stretch in found]


def bare_runs(stretch: Block) -> list[Block]:
    """The runs of whole statements between lines that are not Python, each at the margin."""
    return list(_runs(stretch.source.split("\n")))


@cache
def _markdown() -> MarkdownIt:
    from markdown_it import MarkdownIt  # here: a list of tasks, or a report, reads no answer

    # Tags such as <answer> would hide the fence behind them.
    return MarkdownIt("commonmark", {"html": False})


def _fences(text: str) -> Iterator[tuple[str, Token]]:
    for token in _markdown().parse(text):
        if token.type == "fence":
            yield token.info.strip(), token
        for inner in token.children or ():
            if inner.type == "code_inline" and len(inner.markup) >= 3:
                language, _, rest = inner.content.strip().partition(" ")
                if language.lower().startswith(_PYTHON):
                    inner.content = rest
                yield "", inner


def _grown(text: str, token: Token) -> str:
    """What a fence holds, to the end of a string that its closing mark would cut in two."""
    if token.map is None or _ends_whole(token.content):
        return token.content
    lines = text.split("\n")
    start, end = token.map
    for further in range(end, len(lines)):
        if lines[further].strip() == token.markup:
            grown = "\n".join(lines[start + 1 : further])
            if python_source.parsed(indentation.moved(grown)):
                return grown
    return token.content


def _ends_whole(source: str) -> bool:
    return source.count('"""') % 2 == 0 and source.count("'''") % 2 == 0


def _session(source: str) -> str:
    """The input of an interactive session; any other source as it is."""
    if not source.lstrip().startswith(">>> "):
        return source
    try:
        return doctest.script_from_examples(source)
    except ValueError:  # its prompts do not fit each other
        return source


def _runs(lines: list[str]) -> Iterator[Block]:
    position = 0
    while position < len(lines):
        width = len(lines[position]) - len(lines[position].lstrip())
        taken = _stripped(lines[position:], width) if _START.match(lines[position]) else []
        run = python_source.whole_statements("\n".join(taken))
        if run.strip():
            end = position + run.count("\n") + 1
            above = position == 0 or not lines[position - 1].strip()
            # A run may end in a blank line of its own.
            below = end == len(lines) or not (lines[end].strip() and lines[end - 1].strip())
            yield Block(run, "part of the bare text", apart=above and below)
            position = end
        else:
            position += 1


def _stripped(lines: list[str], width: int) -> list[str]:
    """The lines without their first `width` characters, up to one that stands further left."""
    taken = []
    for line in lines:
        if line[:width].strip():
            break
        taken.append(line[width:])
    return taken
