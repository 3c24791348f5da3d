"""One file put in place whole: no reader and no crash ever meets half of it."""

from __future__ import annotations

import os
from pathlib import Path


def replace_file(path: Path, content: str | bytes) -> None:
    """Put a file in place whole: readers see the old one or the new one."""
    # A completion may hold a lone surrogate, which UTF-8 cannot; it becomes a question mark.
    data = content.encode("utf-8", "replace") if isinstance(content, str) else content
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
