"""MkDocs' hook of the documentation: pages that are made from code, and files that pages point to.

    python -m mkdocs build --strict

What the code says of itself (fields, verbs, entries, messages) is written into the site when it is
built, so that it cannot grow old. Files of the project that a page links (`../specs/x.yaml`, a
report's picture) become part of the site, which needs no network then.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from tools.site import commands, entries, fields, messages, options

ROOT = Path(__file__).parents[2]

MADE: Mapping[str, Callable[[], str]] = {
    "reference/spec.md": fields.page,
    "reference/commands.md": commands.page,
    "reference/options.md": options.page,
    "reference/entries.md": entries.page,
    "reference/messages.md": messages.page,
}
"""Pages that code writes, by their place in the site."""

_OUTSIDE = "files/"
_LINK = re.compile(r"(?<=\]\()(\.\./[^)\s#]+)(?=[)#])")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that code writes, and every file outside of `docs/` that a page points to."""
    for made, write in MADE.items():
        files.append(File.generated(config, made, content=write()))
    for page in list(files.documentation_pages()):
        for link in _LINK.findall(page.content_string):
            place = _placed(page.src_uri, link)
            if place and place not in files.src_uris:
                source = ROOT / place.removeprefix(_OUTSIDE)
                files.append(File.generated(config, place, abs_src_path=str(source)))
    return files


def on_page_markdown(markdown: str, *, page: Page, **_: object) -> str:
    """Let links to files outside of `docs/` point to where they are in the site."""
    here = page.file.src_uri

    def inside(found: re.Match[str]) -> str:
        place = _placed(here, found[1])
        return posixpath.relpath(place, posixpath.dirname(here) or ".") if place else found[1]

    return _LINK.sub(inside, markdown)


def _placed(page: str, link: str) -> str | None:
    """Where a file that a page links is in the site; None for what lies in `docs/`, or nowhere."""
    aim = posixpath.normpath(posixpath.join("docs", posixpath.dirname(page), link))
    outside = not aim.startswith(("docs/", "../"))
    return f"{_OUTSIDE}{aim}" if outside and (ROOT / aim).is_file() else None
