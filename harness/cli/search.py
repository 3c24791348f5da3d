"""`titrate search SPEC`: the best values of some fields, on splits that cannot leak."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from harness.options import add_to_argparse, overrides


def declare(parser: argparse.ArgumentParser) -> None:
    """State the arguments of `titrate search`."""
    parser.add_argument("spec", type=Path, metavar="SPEC", help="a spec with a section `search`")
    add_to_argparse(
        parser,
        "set",
        "limit",
        "model",
        "report",
        "store",
        "unsafe_code",
        set="set a field of the spec; may be repeated",
        limit="at most N samples in every split: a quick look",
        model="search on this model instead of the spec's",
    )
    parser.set_defaults(run=run)


def run(parsed: argparse.Namespace) -> int:
    """Search, and print what it came to."""
    from harness.models.reference import check_model
    from harness.spec import load

    given = overrides(vars(parsed))
    # Before torch is imported, for seconds.
    check_model(*load(parsed.spec, given))
    from harness.search import check_installed

    check_installed()
    from harness.report.page_link import has_links
    from harness.search.run import search
    from harness.search.setup import unmet_by
    from harness.search.summary import summary

    reason = unmet_by(parsed.spec, given)
    if reason is not None:
        print(f"skipped: {parsed.spec} {reason}")
        return 0
    found = search(
        parsed.spec,
        given,
        parsed.report,
        command=parsed.command,
        store=parsed.store,
        unsafe_code=parsed.unsafe_code,
    )
    print(summary(found, link=has_links(terminal=sys.stdout.isatty())))
    return 1 if found.problems else 0
