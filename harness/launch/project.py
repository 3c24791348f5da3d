"""What a project adds by its conftest.py, for the verbs that run without pytest.

pytest reads that file in whatever project it is started, so that reading it here trusts nobody
whom a run of pytest would not. It is found from where the command is started and never from the
folder of a spec, which is data and may be somebody else's.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

from harness.errors import RegistryError
from harness.files.given import is_file

_MARKS = ("pyproject.toml", "pytest.toml", "pytest.ini", "tox.ini", "setup.cfg", ".git")


def conftest(folder: Path) -> Path | None:
    """The conftest.py of a project: in a folder of it, or the next one above up to its root.

    The root is where pytest's configuration or a repository lies; without one it is `folder`.
    """
    above = [folder, *folder.parents]
    root = next((each for each in above if any((each / mark).exists() for mark in _MARKS)), folder)
    own = above[: above.index(root) + 1]
    return next((file for each in own if is_file(file := each / "conftest.py")), None)


def read_project(folder: Path) -> None:
    """Import a project's conftest.py as pytest does: as `conftest`, its folder first on the path.

    Raises:
        RegistryError: it cannot be imported.
    """
    file = conftest(folder)
    if file is None or "conftest" in sys.modules:
        return
    sys.path.insert(0, str(file.parent))
    try:
        import_module("conftest")
    except Exception as error:
        raise RegistryError(
            f"{file}: cannot be imported: {type(error).__name__}: {error}; `titrate` reads it for "
            "what a project registers, as pytest does"
        ) from error
