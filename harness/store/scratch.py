"""Journals that are written on a machine's own disk, and put into a shared store whole.

A shared file system is slow for many small writes and quick for one large one. What a killed
process has left on a disk is put into the store by the next one that works there.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from contextlib import suppress
from pathlib import Path

from harness.errors import StoreError
from harness.files.atomic import replace_file
from harness.store.journal import in_use

PUBLISH_EVERY = 600.0
"""Seconds after which a journal is put into the store: what a lost machine takes with it."""

_YOUNG = 1.0
"""Seconds in which a new journal may not be locked yet by the process that writes it."""


def scratch_folder(text: str | None) -> Path | None:
    """The folder that a text names on this machine, such as `$TMPDIR`.

    Raises:
        StoreError: it names a variable that is not set here, or no absolute path.
    """
    if text is None:
        return None
    path = Path(os.path.expandvars(text)).expanduser()
    if "$" in str(path) or not path.is_absolute():
        raise StoreError(
            f"--store-scratch {text}: is {path} on this machine; give an absolute path, or a "
            "variable that is set on every node, such as '$TMPDIR'"
        )
    return path


def scratch_of(store: Path, folder: Path) -> Path:
    """Where a store's journals lie in a scratch folder, which other stores and users may share."""
    name = hashlib.sha256(str(store.absolute()).encode()).hexdigest()[:16]
    return folder / f"titrate-{os.getuid()}-{name}"


def abandoned(folder: Path) -> list[Path]:
    """Journals in a scratch folder whose writers are dead, oldest first."""
    found = []
    for path in sorted(folder.glob("*.jsonl")):
        with suppress(OSError):  # somebody else has just published it
            if time.time() - path.stat().st_mtime > _YOUNG and not in_use(path):
                found.append(path)
    return found


def published(journal: Path, store: Path) -> Path:
    """Put a journal that nobody writes into a store, and return its place there.

    Raises:
        OSError: it cannot be copied; it stays where it is.
    """
    target = store / journal.name
    try:
        with replace_file(target) as part:
            shutil.copyfile(journal, part)
    except FileNotFoundError:
        if not target.exists():
            raise
    journal.unlink(missing_ok=True)  # or somebody else has found it too, and was quicker
    return target
