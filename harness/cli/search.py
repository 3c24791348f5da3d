"""`titrate search SPEC`: the best values of some fields, on splits that cannot leak."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any


def add_to(verbs: Any) -> None:
    """Add `search` to the subparsers of `titrate`."""
    search = verbs.add_parser("search", help="search for the best values of a spec's fields")
    search.add_argument("spec", type=Path, metavar="SPEC", help="a spec with a section `search`")
    search.add_argument(
        "--set", action="append", default=[], metavar="FIELD=VALUE", dest="overrides"
    )
    search.add_argument(
        "--limit", type=int, metavar="N", help="at most N samples in every split: a quick look"
    )
    search.add_argument("--model", metavar="MODEL", help="search on this model instead")
    search.add_argument("--report", type=Path, metavar="DIR", help="default: below reports/")
    search.add_argument("--store", type=Path, metavar="DIR", help="default: .titrate/store")
    search.add_argument(
        "--unsafe-code",
        action="store_true",
        help="where code that a model wrote cannot be isolated, run it with your own rights",
    )
    search.set_defaults(run=_search)


def _search(parsed: argparse.Namespace) -> int:
    from harness.search import check_installed

    check_installed()
    from harness.report.page_link import has_links
    from harness.search.run import search
    from harness.search.setup import unmet_by
    from harness.search.summary import summary

    overrides = list(parsed.overrides)
    overrides += [] if parsed.limit is None else [f"--titrate-limit={parsed.limit}"]
    overrides += [] if parsed.model is None else [f"--titrate-model={parsed.model}"]
    reason = unmet_by(parsed.spec, overrides)
    if reason is not None:
        print(f"skipped: {parsed.spec} {reason}")
        return 0
    found = search(
        parsed.spec,
        overrides,
        parsed.report,
        command=parsed.command,
        store=parsed.store,
        unsafe_code=parsed.unsafe_code,
    )
    print(summary(found, link=has_links(terminal=sys.stdout.isatty())))
    return 1 if found.problems else 0
