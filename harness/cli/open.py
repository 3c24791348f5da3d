"""`titrate open [DIR]`: the page of a report, as a link and in the browser where there is one."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from harness.files.project import project


def declare(parser: argparse.ArgumentParser) -> None:
    """State the arguments of `titrate open`."""
    parser.add_argument(
        "report", type=Path, nargs="?", metavar="DIR", help="the newest below reports/ if left out"
    )
    parser.set_defaults(run=run)


def run(parsed: argparse.Namespace) -> int:
    """Print the link, and open it; a page that is missing is written first."""
    import webbrowser
    from contextlib import suppress

    from harness.report.load import latest
    from harness.report.page_link import has_links, page_line
    from harness.report.write import write_page

    directory = parsed.report or latest(project(Path.cwd()).reports)
    page = directory / "index.html"
    if not page.is_file():
        page = write_page(directory)
    print(page_line(page.parent, link=has_links(terminal=sys.stdout.isatty())))
    with suppress(webbrowser.Error):  # a machine without one has the link
        webbrowser.get().open(page.absolute().as_uri())
    return 0
