"""Files that a user names: read whole, and only if they are files of a bearable size.

A pipe would be waited for, and a device such as /dev/zero never ends. Whatever is wrong is an
`OSError` whose `strerror` says it in words, as for a file that is not there.
"""

from __future__ import annotations

import errno
import gzip
import json
import os
import re
import stat
from pathlib import Path
from typing import Any

MOST_BYTES = 2 << 30
"""What is read into memory at once; the largest public data sets of these tasks have 0.1 GB."""

_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_KINDS = (
    (stat.S_ISDIR, errno.EISDIR, "is a folder"),
    (stat.S_ISFIFO, errno.EINVAL, "is a pipe; write it to a file first"),
    (stat.S_ISSOCK, errno.EINVAL, "is a socket, not a file"),
    (stat.S_ISCHR, errno.EINVAL, "is a device, not a file"),
    (stat.S_ISBLK, errno.EINVAL, "is a device, not a file"),
)


def check_file(path: Path | str, most: int = MOST_BYTES) -> None:
    """Raise `OSError` for what is not a file, or is larger than `most` bytes; opens nothing."""
    _check(Path(path).stat(), path, most)


def content(path: Path | str, most: int = MOST_BYTES) -> bytes:
    """The bytes of a file; of one whose name ends in .gz, what is packed in it."""
    check_file(path, most)
    # What was a file a moment ago may be a pipe now: opening one must not wait for a writer.
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:  # noqa: PTH123
        _check(os.fstat(file.fileno()), path, most)
        if not str(path).endswith(".gz"):
            return file.read(most)
        with gzip.GzipFile(fileobj=file) as unpacked:
            found = unpacked.read(most + 1)
    if len(found) > most:
        raise _refusal(errno.EFBIG, f"unpacks to more than {_size(most)}", path)
    return found


def text(path: Path | str, most: int = MOST_BYTES) -> str:
    """The text of a UTF-8 file, without the mark that some editors put in front of it."""
    return content(path, most).decode("utf-8-sig")


def json_value(path: Path | str) -> Any:
    """What a JSON file holds; raises `ValueError` for a file that is not JSON."""
    return parsed(text(path))


def parsed(document: str) -> Any:
    r"""What a JSON text holds.

    Raises `ValueError` also where it is nested too deep to be read, and for half a surrogate pair,
    which JSON can write (`"\ud83d"`), though it is not a character: no tokenizer takes it.
    """
    try:
        value = json.loads(document)
        if _SURROGATE.search(document):
            json.dumps(value, ensure_ascii=False).encode()
    except RecursionError:
        raise ValueError("it is nested too deep") from None
    except UnicodeEncodeError as error:
        half = ascii(error.object[error.start])
        raise ValueError(f"{half} is half of a surrogate pair and no character") from None
    return value


def is_file(path: Path | str) -> bool:
    """As pathlib's; False for a name that no file can have, such as one that is too long."""
    return os.path.isfile(path)  # noqa: PTH113 - pathlib raises OSError for such names


def is_folder(path: Path | str) -> bool:
    """Whether a folder has this name; False, too, for a name that none can have."""
    return os.path.isdir(path)  # noqa: PTH112 - as above


def exists(path: Path | str) -> bool:
    """Whether anything has this name; False, too, for a name that nothing can have."""
    return os.path.exists(path)  # noqa: PTH110 - as above


def _check(found: os.stat_result, path: Path | str, most: int) -> None:
    for is_kind, number, what in _KINDS:
        if is_kind(found.st_mode):
            raise _refusal(number, what, path)
    if found.st_size > most:
        raise _refusal(errno.EFBIG, f"is larger than {_size(most)}", path)


def _refusal(number: int, what: str, path: Path | str) -> OSError:
    return OSError(number, what, str(path))


def _size(count: int) -> str:
    return f"{count >> 30} GiB" if count >> 30 else f"{count >> 20} MiB"
