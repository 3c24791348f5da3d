"""`titrate draws SOURCE... -o DIR`: what several draws of a sample say together."""

from __future__ import annotations

import argparse
from pathlib import Path


def declare(parser: argparse.ArgumentParser) -> None:
    """State the arguments of `titrate draws`."""
    parser.add_argument(
        "sources",
        nargs="+",
        type=Path,
        metavar="SOURCE",
        help="a report's folder, or what lm-eval logged (its folder, or a samples_*.jsonl); every "
        "case is a curve",
    )
    parser.add_argument("-o", "--output", required=True, type=Path, metavar="DIR")
    parser.add_argument(
        "--baseline",
        metavar="CASE",
        help="compare all others with this case (default: each with its own baseline, if it has "
        "one)",
    )
    parser.add_argument(
        "--ranks",
        type=Path,
        metavar="FILE",
        help="ranks per completion, as the code of Sample Smart, Not Hard writes them",
    )
    parser.set_defaults(run=run)


def run(parsed: argparse.Namespace) -> int:
    """Write a table and a plot of every analysis, and name them."""
    from harness.errors import ReportError
    from harness.files.atomic import write_file
    from harness.report.draws.rule_cuts import rule_cuts
    from harness.report.draws.sections import section_files, sections_of
    from harness.report.draws.sources import baselines_of, samples_of

    cases = samples_of(parsed.sources, parsed.ranks)
    baselines = baselines_of(parsed.sources)
    if parsed.baseline is not None:
        if parsed.baseline not in cases:
            raise ReportError(
                f"--baseline {parsed.baseline}: no such case; use one of {', '.join(cases)}"
            )
        baselines = {each: parsed.baseline for each in cases if each != parsed.baseline}
    below = ", ".join(map(str, parsed.sources))
    sections = dict(sections_of(cases, baselines, "draws", below))
    files = [(Path(name).name, content) for name, content in section_files({"draws": sections})]
    files += [("draws-rules.png", png) for png in rule_cuts(parsed.sources)]
    parsed.output.mkdir(parents=True, exist_ok=True)
    for name, content in files:
        write_file(parsed.output / name, content)
        print(parsed.output / name)
    return 0
