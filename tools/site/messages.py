"""The page of messages: every error that names its remedy, where it is raised, with an anchor."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]

_REMEDY = re.compile(r";(?=[^;]*\S[^;]*$)(?![^{]*\})")
"""Between what is wrong and what to do: the last semicolon, if it is not within braces."""

_INTRODUCTION = (
    "Every error that says what to do, by the room of the code that raises it; what stands in "
    "braces is filled in. Search this page for the words of yours. "
    "[Troubleshooting](../troubleshooting.md) goes through the common ones."
)


def page() -> str:
    """A section for each room, and a paragraph with an anchor for each of its messages."""
    rooms = defaultdict(list)
    for file in sorted((ROOT / "harness").rglob("*.py")):
        for message in _messages(ast.parse(file.read_text("utf-8"))):
            place = file.relative_to(ROOT).as_posix()
            rooms[file.relative_to(ROOT / "harness").parts[0].removesuffix(".py")].append(
                (message, place)
            )
    told = ["# Messages", "", _INTRODUCTION, ""]
    known: set[str] = set()
    for room, messages in rooms.items():
        told += [f"## {room}", ""]
        for message, place in sorted(set(messages)):
            said, remedy = _REMEDY.split(message)[-2:]
            anchor = _anchor(message, known)
            told += [f'<a id="{anchor}"></a>`{said.strip()}`', ""]
            told += [f":   **{_sentence(remedy)}** ([¶](#{anchor}), `{place}`)", ""]
    return "\n".join(told)


def _messages(tree: ast.AST) -> Iterator[str]:
    """What is raised to a user with a remedy behind its last semicolon."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("Error"):
            texts = [_text(argument) for argument in node.args]
            if ast.unparse(node.func) == "TemplateError":  # the fault, and the remedy
                texts = ["; ".join(texts)]
            for text in texts:
                if _REMEDY.search(text):
                    yield " ".join(text.replace("`", "'").split())


def _text(node: ast.expr) -> str:
    """A message as its source has it: f-strings with their expressions in braces."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(map(_text, parts))
        case ast.FormattedValue(value=value):
            return "{" + ast.unparse(value).replace("\n", " ") + "}"
        case ast.BinOp(left=left, right=right):
            return _text(left) + _text(right)
    return ""


def _sentence(remedy: str) -> str:
    """A remedy as a sentence, with what would be markup left as it is written."""
    text = re.sub(r"([\\*_<>\[\]|])", r"\\\1", remedy.strip())
    return text[:1].upper() + text[1:]


def _anchor(message: str, known: set[str]) -> str:
    """A name for a message that its own words make, and that no other one has."""
    words = re.findall(r"[a-z0-9]+", re.sub(r"\{.*?\}", "", message).lower())[:9]
    name = wanted = "-".join(words) or "message"
    number = 2
    while name in known:
        name, number = f"{wanted}-{number}", number + 1
    known.add(name)
    return name
