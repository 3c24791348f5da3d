"""Append-only files of self-checking JSON lines, which survive the death of their writer.

A line is `{"check":"1c291ca3","record":{...}}`, where `check` is the CRC-32 of the record's bytes:
a torn line, and one in which a bit flipped, is told from a whole one. The first line says what the
file holds and in which version of its format. Every file has one writer, which hands each line to
the operating system at once: what a killed process has appended stays, without a flush.
(After a power failure the last lines may be missing or torn, and are recognised as such.)
"""

from __future__ import annotations

import fcntl
import json
import os
import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.files.atomic import open_regular

_ENCODER = json.JSONEncoder(separators=(",", ":"))
_OPENING = b'{"check":"'
_MIDDLE = b'","record":'
_BODY = len(_OPENING) + 8 + len(_MIDDLE)


@dataclass(frozen=True, slots=True)
class Format:
    """What a file holds, and the version of how it says so."""

    name: str
    version: int

    def __str__(self) -> str:
        return f"{self.name}, version {self.version}"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a file: `body` is the record's JSON, None for a torn or altered line.

    `whole` is false for a last line without its end: torn, or being written right now.
    """

    offset: int
    end: int
    body: bytes | None
    whole: bool

    @property
    def record(self) -> Any:
        """The record itself, of a whole line: any JSON at all, for its sum tells nothing of it.

        Raises:
            ValueError: it is not JSON, or is JSON that Python cannot read.
        """
        assert self.body is not None
        try:
            return json.loads(self.body)
        except RecursionError as error:
            raise ValueError("nested too deeply") from error


class Journal:
    """The writer of a new file. Locks it for as long as it is open (`in_use`)."""

    def __init__(self, path: Path, form: Format) -> None:
        self.path = path
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL
        self._file = os.open(path, flags, 0o644)
        with suppress(OSError):  # some network file systems have no locks
            fcntl.flock(self._file, fcntl.LOCK_EX)
        self.append({"format": form.name, "version": form.version})

    def append(self, record: Mapping[str, Any]) -> int:
        """Write one line and return its offset; a line that cannot be written leaves no trace."""
        line = encoded(record)
        start = os.fstat(self._file).st_size
        try:
            written = 0
            while written < len(line):
                written += os.write(self._file, line[written:])
        except BaseException:
            with suppress(OSError):
                os.ftruncate(self._file, start)
            raise
        return start

    @property
    def deleted(self) -> bool:
        """Whether the file is no longer to be found, and with it what was appended."""
        if self._file < 0:
            return not self.path.exists()
        try:
            return not os.path.samestat(os.fstat(self._file), self.path.stat())
        except OSError:
            return True

    def close(self) -> None:
        """Close the file; closing twice is closing once."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def encoded(record: Mapping[str, Any]) -> bytes:
    """A record as its line. ASCII: text may hold what UTF-8 cannot, such as lone surrogates."""
    return line_of(json_of(record))


def json_of(record: Any) -> bytes:
    """The JSON of a record, or of a part of it, as its line has it."""
    return _ENCODER.encode(record).encode()


def line_of(body: bytes) -> bytes:
    """The line of a record by its JSON."""
    return b"%s%08x%s%s}\n" % (_OPENING, zlib.crc32(body), _MIDDLE, body)


def decoded(line: bytes) -> bytes | None:
    """The record's JSON in a line, or None when the line is not as it was written."""
    body = line[_BODY:-2]
    head = b"%s%08x%s" % (_OPENING, zlib.crc32(body), _MIDDLE)
    return body if line[:_BODY] == head and line[-2:] == b"}\n" else None


def lines(path: Path, start: int = 0) -> Iterator[Line]:
    """The lines of a file from an offset on, its first line (the format) included."""
    with open_regular(path) as file:
        file.seek(start)
        for raw in file:
            yield Line(start, start + len(raw), decoded(raw), raw.endswith(b"\n"))
            start += len(raw)


def line_at(path: Path, offset: int) -> Line:
    """The line that begins at an offset."""
    with open_regular(path) as file:
        file.seek(offset)
        raw = file.readline()
    return Line(offset, offset + len(raw), decoded(raw), raw.endswith(b"\n"))


def unusable(path: Path, form: Format) -> str | None:
    """Why a file cannot be read as this format, in a few words; None when it can.

    Nothing of a file in another format or version is read: it might mean something else there.
    A directory, a link to nothing or a file without permission is unusable, and no error.
    """
    try:
        first = line_at(path, 0)
        if first.end == 0 or (not first.whole and in_use(path)):
            return None  # empty: its writer was killed, or has not come further yet
    except OSError as error:
        reason = error.strerror or error
        return f"{path}: cannot be read: {reason}; take it away, or let it be read"
    if first.body is None:
        return f"{path}: its first line is torn or altered"
    try:
        said = first.record
    except ValueError:
        said = None
    if said == {"format": form.name, "version": form.version}:
        return None
    if not isinstance(said, dict) or not {"format", "version"} <= said.keys():
        return f"{path}: its first line does not say what it holds"
    return f"{path}: holds {said['format']!s:.80}, version {said['version']!s:.20}, not {form}"


def in_use(path: Path) -> bool:
    """Whether a living process is writing this file."""
    with open_regular(path) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
    return False
