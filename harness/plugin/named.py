"""Whether a pytest command line names benches: only then may workers be handled differently.

The plugin is loaded wherever the package is installed. What `-n auto` means for other people's
tests, how these are dealt out and which devices they see must not change, so it looks at
the named files before anything is collected.
"""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path

from harness.files.given import is_file

_MODULE = "harness.testing"
_SPECS = (".yaml", ".yml")


def names_benches(
    paths: Sequence[Path], specs: Path, collected: Sequence[str], ignored: Sequence[str] = ()
) -> bool:
    """Whether any path is a spec file, a folder of specs, or holds a bench file.

    Args:
        paths: Files and folders of the command line.
        specs: The folder of specs; spec files of other folders count when named themselves.
        collected: Patterns of the names of Python files that are collected (pytest's
            `python_files`); others count when named themselves.
        ignored: Patterns of folder names that are not searched (pytest's `norecursedirs`).
    """
    return any(
        file.suffix == ".py"
        and (file == path or any(map(file.match, collected)))
        and _is_bench(file)
        if file.suffix not in _SPECS
        else file == path or path.is_relative_to(specs)
        for path in paths
        for file in _files(path, ignored)
    )


def _files(path: Path, ignored: Sequence[str]) -> Iterator[Path]:
    if is_file(path):
        yield path
    for folder, below, names in os.walk(path):
        below[:] = sorted(
            name for name in below if not any(fnmatch(name, pattern) for pattern in ignored)
        )
        yield from (Path(folder, name) for name in sorted(names))


def _is_bench(file: Path) -> bool:
    """Whether a Python file imports what makes benches. Most files are told without parsing."""
    try:
        source = file.read_bytes()
        if _MODULE.encode() not in source:
            return False
        tree = ast.parse(source)
    except (OSError, SyntaxError, ValueError):
        return False
    return any(
        (isinstance(node, ast.ImportFrom) and node.module == _MODULE)
        or (isinstance(node, ast.Import) and any(each.name == _MODULE for each in node.names))
        for node in ast.walk(tree)
    )
