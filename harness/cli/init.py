"""`titrate init [FOLDER]`: a project to start from, with specs, benches, a workflow for CI.

Its specs and benches are those of this project's own zoo, which are tested with every change.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from harness.errors import OutputError

_STARTER = Path(__file__).parents[1] / "starter"
#: Files that lie elsewhere in a project, because package data has no hidden folders.
_PLACES = {"workflow.yml": ".github/workflows/titrate.yml", "gitignore": ".gitignore"}
_SCHEMA = "specs/experiment.schema.json"
_CONFIGURATION = "pytest.toml"
#: Where a project may configure pytest already; `pytest.toml` would silence all of them.
_CONFIGURED = ("pyproject.toml", "pytest.ini", "tox.ini", "setup.cfg")
#: What most projects have of their own, and may keep.
_KEPT = ("README.md", ".gitignore")


def declare(parser: argparse.ArgumentParser) -> None:
    """State the arguments of `titrate init`."""
    parser.add_argument(
        "folder", nargs="?", type=Path, default=Path(), metavar="FOLDER", help="default: this one"
    )
    parser.set_defaults(run=run)


def run(parsed: argparse.Namespace) -> int:
    """Write the project, and say what to do with it."""
    folder: Path = parsed.folder
    files = project()
    kept = [name for name in _KEPT if (folder / name).exists()]
    configured = next((name for name in _CONFIGURED if (folder / name).exists()), None)
    own = {name: files.pop(name) for name in [*kept, *[_CONFIGURATION] * bool(configured)]}
    write(files, folder)
    for name in files:
        print(folder / name)
    for name in kept:
        print(f"{folder / name}: kept as it is")
    if configured:
        lines = own[_CONFIGURATION].replace("[pytest]", "[tool.pytest]")
        print(f"\n{folder / configured}: pytest's configuration needs these lines:\n\n{lines}")
    where = "" if folder == Path() else f"cd {folder} && "
    print(f"next: {where}pytest benches -k keep_topk --titrate-limit 20")
    return 0


def project() -> dict[str, str]:
    """The files of a new project, by their paths in it."""
    from harness.spec import experiment_schema

    files = {}
    for file in sorted(_STARTER.rglob("*")):
        if file.is_file() and "__pycache__" not in file.parts:
            name = file.relative_to(_STARTER).as_posix()
            files[_PLACES.get(name, name)] = file.read_text("utf-8")
    files[_SCHEMA] = json.dumps(experiment_schema(), indent=2) + "\n"
    return files


def write(files: dict[str, str], folder: Path) -> None:
    """Write all files below a folder, or none: raises `OutputError` if any is there already."""
    from harness.files.atomic import output, write_file

    for name in files:
        if (folder / name).exists() or (folder / name).is_symlink():
            raise OutputError(
                f"{folder / name}: is there already, and init overwrites nothing; "
                "give a new FOLDER, or move it away"
            )
    for name, text in files.items():
        with output(folder / name):
            write_file(folder / name, text)
