"""Where a report's page is, as a terminal shows it."""

from __future__ import annotations

import os
from pathlib import Path


def page_line(directory: Path, *, link: bool) -> str:
    """`report: reports/x/index.html`; a terminal opens it where it is a `link` (OSC 8)."""
    page = directory / "index.html"
    if not link:
        return f"report: {shown(page)}"
    return f"report: \x1b]8;;{page.absolute().as_uri()}\x1b\\{shown(page)}\x1b]8;;\x1b\\"


def has_links(*, terminal: bool) -> bool:
    """Whether hyperlinks may be written, given that it is a `terminal` or not."""
    return terminal and os.environ.get("TERM") != "dumb"


def shown(path: Path) -> str:
    """A path relative to where the user stands, if it lies below."""
    absolute = path.absolute()
    here = Path.cwd()
    return str(absolute.relative_to(here) if absolute.is_relative_to(here) else absolute)
