"""The hash of what a checkpoint's files hold: another byte of weights, another model.

Everything that can change numbers or prompts is in it: weights, configuration, the tokenizer and
its chat template. Reading tens of gigabytes takes a minute, so the hash of a large file is kept
(in the user's cache folder) for as long as device, inode, size and both times of the file are what
they were; every write to a file sets its change time, which no tool can set back.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

from harness.files.atomic import write_file

_BLOB_NAME = re.compile(r"[0-9a-f]{64}")
_CONTENT = {".json", ".safetensors", ".bin", ".jinja", ".model", ".txt"}
#: Files from this size on are worth remembering: a tenth of a second of reading.
_LARGE = 100 * 2**20
#: A file that was changed less than so many seconds ago may change again within one clock tick.
_SETTLED = 2.0


def content_hash(checkpoint: Path) -> str:
    """SHA-256 over the content of every file of a checkpoint that can change its numbers.

    A GGUF file is one by itself; what unpacks it is hashed too.
    """
    if checkpoint.is_file():
        unpacked = f"{_file_hash(checkpoint)}\0gguf {version('gguf')}"
        return hashlib.sha256(unpacked.encode()).hexdigest()
    digest = hashlib.sha256()
    for file in sorted(checkpoint.iterdir()):
        if file.suffix in _CONTENT and file.name != "card.json":
            digest.update(f"{file.name}\0{_file_hash(file)}\0".encode())
    return digest.hexdigest()


def _file_hash(file: Path) -> str:
    """A file's SHA-256; the hub's cache, where nothing is edited, names large files by it."""
    blob = file.resolve()
    if _BLOB_NAME.fullmatch(blob.name):
        return blob.name
    before = _identity(blob)
    kept = _cache_file(blob) if blob.stat().st_size >= _LARGE else None
    if kept is not None:
        with suppress(OSError, ValueError, KeyError, TypeError):
            entry = json.loads(kept.read_text("utf-8"))
            if entry["identity"] == before:
                return str(entry["sha256"])
    with blob.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if kept is not None and _settled(blob) and _identity(blob) == before:
        _keep(kept, {"file": str(blob), "identity": before, "sha256": found})
    return found


def _identity(file: Path) -> list[int]:
    """What changes whenever a file is written, moved into place or restored."""
    status = file.stat()
    return [
        status.st_dev,
        status.st_ino,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
    ]


def _settled(file: Path) -> bool:
    return time.time() - file.stat().st_ctime > _SETTLED


def _cache_file(file: Path) -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base, "titrate", "hashes", hashlib.sha256(os.fsencode(file)).hexdigest())


def _keep(place: Path, entry: dict[str, object]) -> None:
    """Put an entry in place whole; without a writable cache the file is read again next time."""
    with suppress(OSError):
        write_file(place, json.dumps(entry))
