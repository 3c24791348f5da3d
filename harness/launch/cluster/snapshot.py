"""What a submitted run is made with, kept as it was: a copy of the package, and digests of files.

Tasks may begin hours after they were submitted. They import the copy, so that a checkout that has
changed meanwhile changes nothing; of the other files that they read they refuse what has changed.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

from harness.errors import StoreError, TitrateError
from harness.files.given import is_file
from harness.registry import adding_packages
from harness.spec import Case

_PACKAGE = Path(__file__).parents[2]


def code_below(root: Path) -> Path:
    """Where the package as it is now is kept for runs from `root`: a name made of its content."""
    return root / ".titrate" / "code" / _content()


def _content() -> str:
    """What the package of this process is, file for file."""
    digest = hashlib.sha256()
    for file in sorted(_files(_PACKAGE)):
        content = file.read_bytes()
        digest.update(f"{file.relative_to(_PACKAGE)}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:16]


def keep_code(target: Path) -> None:
    """Copy the package to where `code_below` says, unless it is there.

    Raises:
        StoreError: it cannot be written.
    """
    if target.exists():
        return
    part = target.with_name(f".{uuid4().hex}.part")
    try:
        for file in _files(_PACKAGE):
            copy = part / _PACKAGE.name / file.relative_to(_PACKAGE)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copy)
        with suppress(FileExistsError):  # somebody else has submitted the same code meanwhile
            part.rename(target)
    except OSError as error:
        if not target.exists():
            raise StoreError(
                f"{target}: the package cannot be copied: {error.strerror or error}; free some "
                "space or make the folder writable"
            ) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def check_code(code: str) -> None:
    """Raise `TitrateError` unless this process runs the code that was submitted."""
    if _PACKAGE.parent.resolve() != Path(code).resolve():
        raise TitrateError(
            f"{_PACKAGE}: is not the code that was submitted, which is in {code}; let PYTHONPATH "
            "begin with it"
        )
    if _content() != Path(code).name:
        raise TitrateError(
            f"{code}: is no longer the code that was submitted; remove it and submit a new run: "
            "what is stored is not made again"
        )


def read_by(cases: Iterable[Case]) -> dict[str, str]:
    """SHA-256 of the files that the experiments of cases name, by their absolute paths.

    Models are not among them: their content is in the key of everything that they make.
    """
    names = {text for case in cases for text in _texts(case.experiment.model_dump(mode="json"))}
    paths = {path for text in names for path in (text, text.rpartition(":")[0])}
    return digests(path for path in paths if os.path.isabs(path))  # noqa: PTH117 - texts


def imported(root: Path) -> Iterator[str]:
    """Files that this process has imported and that a task will import from where they are.

    Those are modules of the project in `root`, such as its conftest.py and what that imports, and
    of installed packages that add to a registry. Others are the environment's: reports have its
    versions.
    """
    adding = adding_packages()
    libraries = {Path(path).resolve() for path in sysconfig.get_paths().values()}
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        path = Path(file).resolve() if file else None
        if path is None or path.is_relative_to(_PACKAGE.resolve()):
            continue
        own = path.is_relative_to(root.resolve()) and not libraries & set(path.parents)
        if own or name.partition(".")[0] in adding:
            yield str(path)


def digests(paths: Iterable[str]) -> dict[str, str]:
    """SHA-256 of those of some paths that are files."""
    return {path: _digest(path) for path in sorted(set(paths)) if is_file(Path(path))}


def check_unchanged(files: Mapping[str, str]) -> None:
    """Raise `TitrateError` for the first file that is not what it was."""
    for path, digest in files.items():
        if not is_file(Path(path)) or _digest(path) != digest:
            raise TitrateError(
                f"{path}: has changed since the run was submitted; put it back, or submit a new run"
            )


def _files(folder: Path) -> Iterator[Path]:
    for file in folder.rglob("*"):
        if file.is_file() and "__pycache__" not in file.parts:
            yield file


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)


def _digest(path: str) -> str:
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
