"""The page of everything that a spec can name: what `titrate list KIND` prints, kind by kind."""

from __future__ import annotations

from html import escape

from harness.cli.list import KINDS

_INTRODUCTION = (
    "`titrate list KIND` prints these, and those of installed packages and of your "
    "`conftest.py` beside them; [extending](../extending.md) adds to them."
)


def page() -> str:
    """A table for each kind of entry."""
    told = ["# What a spec can name", "", _INTRODUCTION, ""]
    for kind, listed in KINDS.items():
        told += [f"## {kind.capitalize()}", "", "| name | what it is |", "| --- | --- |"]
        told += [
            f"| `{name}` | {escape(meaning, quote=False).replace('|', chr(92) + '|')} |"
            for name, meaning in listed().items()
        ]
        told.append("")
    return "\n".join(told)
