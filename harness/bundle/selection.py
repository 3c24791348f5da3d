"""Whether a recorded command explains that cases of a spec were not run: what it selects, anew.

A command explains a missing case where it would not have selected it, and would have selected all
that were recorded. What cannot be selected again (`-m`, `--lf`) explains nothing, and neither does
what ends a run early (`-x`): cases that were planned are recorded, run or not.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from harness.errors import OptionError
from harness.launch.selection import matcher


@dataclass(frozen=True)
class CommandSelection:
    """What one command asks for: an expression, node ids, node ids that are left out."""

    expression: str | None = None
    nodes: tuple[str, ...] = ()
    without: tuple[str, ...] = ()

    @classmethod
    def read(cls, command: str) -> CommandSelection:
        """Those of a command line. Raises ValueError for one that no shell would read."""
        expression, nodes, without = None, list[str](), list[str]()
        words = iter(shlex.split(command))
        for word in words:
            if word == "-k":
                expression = next(words, None)
            elif word.startswith("-k"):
                expression = word[2:].removeprefix("=")
            elif word == "--deselect":
                without.append(next(words, ""))
            elif word.startswith("--deselect="):
                without.append(word.partition("=")[2])
            elif "::" in word and not word.startswith("-"):
                nodes.append(word)
        return cls(expression, tuple(nodes), tuple(without))

    def selects(self, names: set[str], node: str) -> bool:
        """Whether it would have run a case with these names and this node id.

        Raises:
            OptionError: the expression is none.
        """
        if self.without and node.startswith(self.without):
            return False
        if self.nodes and not any(_within(node, each) for each in self.nodes):
            return False
        return matcher(self.expression)(names)


def explained(
    command: str, file: str, recorded: Mapping[str, str | None], missing: Sequence[str]
) -> set[str]:
    """Those of the missing cases that were not run because the command did not select them.

    Args:
        command: As it was typed; of merged shards one behind the other.
        file: The spec file that the cases are of.
        recorded: Cases that were run, with the node ids by which pytest has run them.
        missing: Ids of the others.
    """
    if not recorded:
        return set()
    sibling, node = next(iter(recorded.items()))
    try:
        selections = [CommandSelection.read(each) for each in command.split("; ")]

        def selected(case: str, own: str | None) -> bool:
            node_id = own or ""
            names = {case, Path(file).name} if own is None else set(_names(node_id))
            return any(each.selects(names, node_id) for each in selections)

        if not all(selected(case, own) for case, own in recorded.items()):
            return set()
        return {
            case
            for case in missing
            if not selected(case, None if node is None else node.replace(sibling, case))
        }
    except (ValueError, OptionError):
        return set()


def _names(node: str) -> Iterator[str]:
    """What pytest matches of a node id: folders and file, and the function with its parameters."""
    path, _, function = node.partition("::")
    yield from PurePosixPath(path).parts
    yield function


def _within(node: str, asked: str) -> bool:
    """Whether a node id is the one that is asked for, or lies in it."""
    return node == asked or node.startswith((f"{asked}::", f"{asked}["))
