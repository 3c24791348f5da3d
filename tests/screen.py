"""What was written to a terminal, and what it shows of that in the end."""

from __future__ import annotations

import os
import re


def screen(text: str) -> list[str]:
    """The lines that are left to be seen: text after a carriage return overwrites its line."""
    lines, column = [""], 0
    text = re.sub(r"\x1b\]8;;.*?\x1b\\", "", text)  # a link's address; its text is shown
    for part in re.split(r"(\r|\n|\x1b\[A|\x1b\[K)", text):
        if part == "\r":
            column = 0
        elif part == "\n":
            lines.append("")
            column = 0
        elif part == "\x1b[K":
            lines[-1] = lines[-1][:column]
        elif part:
            assert "\x1b" not in part, "a single line needs no cursor movement"
            lines[-1] = lines[-1][:column] + part + lines[-1][column + len(part) :]
            column += len(part)
    return [line.rstrip() for line in lines]


def written(leader: int) -> str:
    """Everything that is written to a pseudo-terminal until nobody has its other end any more."""
    parts = []
    while True:
        try:
            parts.append(os.read(leader, 1 << 16))
        except OSError:
            os.close(leader)
            return b"".join(parts).decode()
