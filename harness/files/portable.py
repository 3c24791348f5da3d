"""Paths as reports carry them: relative to where the run was started, or to the user's home.

A report is given away. It says `./specs/x.yaml` and `~/models/x` where the run has read
`/home/name/project/specs/x.yaml`: readers elsewhere can follow it, and it does not reveal how the
machine is laid out. Paths beyond both stay as they are.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any


def portable(value: Any, root: Path | None = None) -> Any:
    """JSON values with the paths in all of their texts made relative, `root` being the start."""
    start = (root or Path.cwd()).absolute()
    return _changed(value, _rules(start, Path.home()))


def place_forms() -> frozenset[bytes]:
    """How JSON writes what `portable` replaces: values without any of that stay as they are."""
    return _forms(Path.cwd().absolute(), Path.home())


def local(text: str, root: Path | None = None) -> str:
    """A path of a report on this machine again."""
    path = Path(text)
    with suppress(RuntimeError):  # a `~user` that this machine does not know stays as it is
        path = path.expanduser()
    return str((root or Path.cwd()).absolute() / path)


@cache
def _rules(root: Path, home: Path) -> tuple[tuple[str, re.Pattern[str], str], ...]:
    """What is replaced by what, and as which pattern; the longest first: the root may lie in the
    home.
    """
    places = {str(root): ".", str(root.resolve()): "."}
    for each in (home, home.resolve()):
        places.setdefault(str(each), "~")
    return tuple(
        # A whole path, or the head of one: /home/me is not in /home/me2 or /srv/home/me.
        (place, re.compile(rf"(?<![\w./~-]){re.escape(place)}(?![\w.-])"), sign)
        for place, sign in sorted(places.items(), key=lambda each: -len(each[0]))
        if place != "/"
    )


@cache
def _forms(root: Path, home: Path) -> frozenset[bytes]:
    places = [place for place, _, _ in _rules(root, home)]
    return frozenset(
        json.dumps(place, ensure_ascii=escaped)[1:-1].encode(errors="replace")
        for place in places
        for escaped in (True, False)
    )


def _changed(value: Any, rules: tuple[tuple[str, re.Pattern[str], str], ...]) -> Any:
    if isinstance(value, str):
        for place, pattern, sign in rules:
            if place in value:
                value = pattern.sub(sign, value)
        return value
    if isinstance(value, int | float):  # most of a report
        return value
    if isinstance(value, Mapping):
        return {_changed(name, rules): _changed(each, rules) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_changed(each, rules) for each in value]
    return value
