"""Files that are there whole or not at all: written beside their place and renamed into it."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO

from harness.errors import OutputError
from harness.files.given import exists

#: How writing fails where reading may well work.
READ_ONLY = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})
#: Bytes that are read at a time: lines of records have some hundred thousand.
_READ = 2**16


@contextmanager
def replace_file(path: Path) -> Iterator[Path]:
    """Yield a path to write to; what was written there becomes `path` when the block ends well.

    Folders that are missing are made. A block that raises leaves `path` as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield part
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write_file(path: Path, content: str | bytes) -> None:
    """Put a file in place whole: readers see the old one or the new one."""
    # A completion may hold a lone surrogate, which UTF-8 cannot; it becomes a question mark.
    data = content.encode("utf-8", "replace") if isinstance(content, str) else content
    with replace_file(path) as part:
        part.write_bytes(data)


def write_pieces(path: Path, pieces: Iterable[str]) -> None:
    """The same of a text that is too large to be held at once."""
    with (
        replace_file(path) as part,
        part.open("w", encoding="utf-8", errors="replace", newline="") as file,
    ):
        file.writelines(pieces)


@contextmanager
def output(path: Path) -> Iterator[None]:
    """Around writing what a user asked for: raises OutputError, which names it, for an OSError."""
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"{path}: cannot be written: {error.strerror or error}; choose another output"
        ) from error


def check_writable(folder: Path) -> None:
    """Raise `OSError` unless files could be made in a folder, or where it would be made.

    Missing folders are not an error, because every verb makes them when it writes.

    Leaves nothing behind.
    """
    absolute = folder.absolute()
    there = next(path for path in (absolute, *absolute.parents) if exists(path))
    with TemporaryFile(dir=there, prefix="."):
        pass


def open_regular(path: Path) -> BinaryIO:
    """Open a file for reading: whatever else has its name is an OSError, and is not waited for.

    A directory opens and cannot be read, a pipe without a writer never opens, and a device may
    have no end.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        kind = errno.EISDIR if stat.S_ISDIR(mode) else errno.EINVAL
        said = os.strerror(kind) if stat.S_ISDIR(mode) else "Not a regular file"
        raise OSError(kind, said, str(path))
    return os.fdopen(descriptor, "rb", _READ)
