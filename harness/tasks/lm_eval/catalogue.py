"""Where the tasks that come with lm-eval lie, by their names, without loading any.

Its own index parses all of its 14 000 files, which takes half a minute. Here their text is looked
through for the lines that name a task, a group or a tag; what is found is loaded by lm-eval.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from harness.errors import TaskError
from harness.spec.suggestion import suggestion

_NAMED = re.compile(
    rb"^(?:task|group|tag|  -|-)[ \t]*:?[ \t]*[\"']?([A-Za-z0-9_.:+-]+)[\"']?[ \t]*(?:#.*)?$", re.M
)
_INSTALL = "pip install 'pytest-titrate[lm-eval]'"


def lacking() -> str | None:
    """Why no task of lm-eval's can be run here, or None."""
    found = find_spec("lm_eval")
    return f"needs lm-eval; {_INSTALL}" if found is None else None


def folder() -> Path:
    """Where lm-eval's own tasks lie. Raises TaskError where it is not installed."""
    found = find_spec("lm_eval")
    if found is None or found.origin is None:
        raise TaskError(f"lm_eval needs lm-eval, which is not installed; {_INSTALL}")
    return Path(found.origin).parent / "tasks"


def folder_of(name: str) -> Path:
    """The folder of lm-eval's in which a task, group or tag of this name is.

    Raises:
        TaskError: there is none; told is what is near it.
    """
    found = _folders().get(name)
    if found is None:
        near = suggestion(name, _folders())
        raise TaskError(
            f"{name!r} is no task of lm-eval's;{near} `lm_eval ls tasks` lists them, and a file is "
            "named by its path, ./mine.yaml"
        )
    return found


@cache
def _folders() -> Mapping[str, Path]:
    """The folder of every name: of those that a name stands in, the one that defines it first."""
    found: dict[str, Path] = {}
    lesser: dict[str, Path] = {}
    base = folder()
    for path in sorted(base.glob("**/*.yaml")):
        own = base / path.relative_to(base).parts[0]
        for match in _NAMED.finditer(path.read_bytes()):
            name = match[1].decode()
            defines = match[0].startswith((b"task", b"group"))
            (found if defines else lesser).setdefault(name, own)
    return {**lesser, **found}
