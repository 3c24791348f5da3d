"""`titrate`: the verbs that need no pytest."""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Never

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from harness.cli import pairs, probes, search, store, vectors
from harness.errors import TitrateError

if TYPE_CHECKING:
    from harness.runs.conclude import Finished

_STYLES = ("assisted", "agentic")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; returns the exit status. Errors addressed to the user are one line each."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    command = shlex.join(["titrate", *given])
    parsed = _parser().parse_args(given, argparse.Namespace(command=command))
    try:
        status: int = parsed.run(parsed)
        sys.stdout.flush()  # here, where a reader that has gone is no error
    except TitrateError as error:
        # What pytest refuses too is told of its options; those of the verbs have no prefix.
        for line in str(error).replace("--titrate-", "--").splitlines():
            print(f"titrate: {line}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader of a pipe has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt as interrupt:
        said = ["titrate: interrupted", *getattr(interrupt, "__notes__", ())]
        print("; ".join(said), file=sys.stderr)
        return 130
    return status


class _Parser(argparse.ArgumentParser):
    """Refuses arguments in one line, as every other error is told; verbs inherit the class."""

    def error(self, message: str) -> Never:
        """Say what is wrong, and what was probably meant; exit with status 2."""
        if found := re.search(r"invalid choice: '(.*?)' \(choose from (.*)\)", message):
            from harness.spec.form import suggestion

            meant = suggestion(found[1], re.findall(r"[\w-]+", found[2]))
            message = message.replace(" (", f";{meant} (", 1) if meant else message
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="titrate", description=__doc__)
    verbs = parser.add_subparsers(required=True, metavar="VERB")

    run = verbs.add_parser("run", help="run spec files and write one report")
    run.add_argument(
        "specs",
        nargs="+",
        type=Path,
        metavar="SPEC",
        help="a YAML file; its fields: titrate schema experiment",
    )
    run.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="FIELD=VALUE",
        dest="overrides",
        help="change a field of every spec: task.name=humaneval; may be repeated",
    )
    run.add_argument("--limit", type=int, metavar="N", help="only the first N samples of a task")
    run.add_argument("--model", metavar="MODEL", help="run every spec on this model instead")
    run.add_argument(
        "--engine",
        metavar="NAME",
        help="run every spec on this engine instead; on each of several: transformers,vllm",
    )
    run.add_argument("--report", type=Path, metavar="DIR", help="default: below reports/")
    run.add_argument(
        "--store",
        type=Path,
        metavar="DIR",
        help="for completions and everything that is measured (default: .titrate/store); records "
        "of runs and saved runs stay in .titrate",
    )
    run.add_argument("--fresh", action="store_true", help="make stored completions again")
    run.add_argument("--plan", action="store_true", help="say what would be run, and run nothing")
    run.add_argument("--shard", metavar="I/N", help="run the I-th of N equal shares of the cases")
    run.add_argument(
        "--unsafe-code",
        action="store_true",
        help="where code that a model wrote cannot be isolated, run it with your own rights",
    )
    run.add_argument(
        "--gate",
        action="append",
        default=[],
        metavar="CLAIM",
        dest="gates",
        help="fail unless it holds: 'pass@1 >= 0.9 where count=1'; may be repeated",
    )
    run.add_argument("--save", metavar="NAME", help="keep the run in .titrate/saved")
    run.add_argument("--compare", metavar="NAME", help="a saved run, a file or a report directory")
    run.add_argument(
        "--compare-fail",
        action="append",
        default=[],
        metavar="RULE",
        dest="rules",
        help="fail if it came true since --compare: 'pass@1: worse, p<0.05'; may be repeated",
    )
    run.set_defaults(run=_run_specs)

    merge = verbs.add_parser("merge", help="join the reports of all shards of a run")
    merge.add_argument("reports", nargs="+", type=Path, metavar="DIR")
    merge.add_argument("-o", "--output", type=Path, metavar="DIR", required=True)
    merge.set_defaults(run=_merge)

    doctor = verbs.add_parser("doctor", help="what this machine can do, found out by trying")
    doctor.set_defaults(run=_doctor)

    report = verbs.add_parser("report", help="print the table of a report, or write its page")
    report.add_argument("report", type=Path, metavar="DIR")
    report.add_argument("--html", action="store_true", help="write its index.html anew")
    report.set_defaults(run=_report)

    rescore = verbs.add_parser("rescore", help="score a run's completions again, without a model")
    rescore.add_argument("which", metavar="RUN", help="a run's id, or the directory of a report")
    rescore.add_argument("--report", type=Path, metavar="DIR", help="default: below reports/")
    rescore.set_defaults(run=_rescore)

    store.add_to(verbs)

    compare = verbs.add_parser("compare", help="two runs case by case, paired by sample")
    for side, meaning in (
        ("before", "the run to compare with"),
        ("after", "the run that is judged"),
    ):
        compare.add_argument(
            side,
            metavar={"before": "A", "after": "B"}[side],
            help=f"{meaning}: a saved run's name or number, its file, or a report's directory",
        )
    compare.add_argument("--metric", help="default: each case's primary metric")
    compare.add_argument("--case", action="append", default=[], metavar="ID", dest="cases")
    compare.add_argument(
        "--fail", action="append", default=[], metavar="RULE", help="e.g. 'pass@1: worse, p<0.05'"
    )
    compare.set_defaults(run=_compare)
    export = verbs.add_parser("export", help="write a report in the format of another tool")
    export.add_argument("report", type=Path, metavar="REPORT", help="its folder or report.json")
    export.add_argument("--format", required=True, choices=["csv", "parquet", "latex", "inspect"])
    export.add_argument(
        "-o",
        "--output",
        required=True,
        type=Path,
        metavar="PATH",
        help="a folder; for latex, a file",
    )
    export.set_defaults(run=_export)

    schema = verbs.add_parser("schema", help="print the JSON Schema of spec files or of reports")
    schema.add_argument("which", choices=["experiment", "report"])
    schema.set_defaults(run=_schema)

    zoo = verbs.add_parser("zoo", help="the tiny models that ship with the package")
    zoo_verbs = zoo.add_subparsers(required=True, metavar="VERB")
    listing = zoo_verbs.add_parser("list", help="sizes, accuracies and how they were measured")
    listing.set_defaults(run=_zoo_list)

    pairs.add_to(verbs)
    vectors.add_to(verbs)
    search.add_to(verbs)
    probes.add_to(verbs)
    return parser


def _run_specs(parsed: argparse.Namespace) -> int:
    from harness.models.reference import check_models
    from harness.spec import expand, load

    overrides = list(parsed.overrides)
    overrides += [] if parsed.limit is None else [f"--titrate-limit={parsed.limit}"]
    overrides += [] if parsed.model is None else [f"--titrate-model={parsed.model}"]
    overrides += [] if parsed.engine is None else [f"--titrate-engine={parsed.engine}"]
    for spec in parsed.specs:  # a mistake is told at once: what follows imports torch, for seconds
        check_models(expand(*load(spec, overrides)))
    from harness.claims.claims import Claims
    from harness.launch.live import LiveLine
    from harness.launch.local import forecast_specs, run_specs
    from harness.runs.forecast_table import forecast_table
    from harness.runs.shard import Shard

    shard = None if parsed.shard is None else Shard.parse(parsed.shard, "--shard")
    progress = LiveLine(sys.stderr)
    claims = Claims.read(parsed.gates, parsed.compare, parsed.rules, parsed.save)
    if parsed.plan:
        forecasts = forecast_specs(
            parsed.specs,
            overrides,
            parsed.store,
            unsafe_code=parsed.unsafe_code,
            shard=shard,
            claims=claims,
        )
        print(forecast_table(forecasts))
        return 0
    with progress.beside():
        finished = run_specs(
            parsed.specs,
            overrides,
            parsed.report,
            progress,
            parsed.command,
            store=parsed.store,
            fresh=parsed.fresh,
            shard=shard,
            unsafe_code=parsed.unsafe_code,
            claims=claims,
        )
    return _told(finished, ran=True)


def _merge(parsed: argparse.Namespace) -> int:
    from harness.runs.merge import merge

    return _told(merge(parsed.reports, parsed.output))


def _told(finished: Finished, *, ran: bool = False) -> int:
    """Print what came of a run, and of one that `ran` just now how it ended; the exit status."""
    from harness.launch.closing import closing, outcomes
    from harness.report.page_link import has_links
    from harness.report.tables.terminal import table

    print(table(finished.report))
    if finished.compared:
        print(finished.compared)
    for line in [*(f"skipped: {case}" for case in finished.skipped), *finished.problems]:
        print(line)
    for line in finished.verdicts:
        print(line)
    if ran:
        print(outcomes(finished))
    for line in closing(finished, link=has_links(terminal=sys.stdout.isatty())):
        print(line)
    return 1 if finished.problems or finished.failed else 0


def _report(parsed: argparse.Namespace) -> int:
    from harness.report.load import load_report
    from harness.report.tables.terminal import table
    from harness.report.write import write_page

    if parsed.html:
        print(f"page: {write_page(parsed.report)}")
    else:
        print(table(load_report(parsed.report)))
    return 0


def _doctor(_parsed: argparse.Namespace) -> int:
    from harness.cli.doctor import examine

    examination = examine()
    print(examination.text, end="")
    return 0 if examination.isolates else 1


def _rescore(parsed: argparse.Namespace) -> int:
    from datetime import UTC, datetime

    from harness.report.page_link import has_links, page_line
    from harness.report.tables.terminal import table
    from harness.report.write import default_directory
    from harness.runs.rescored import changes_text, rescore

    directory = parsed.report or default_directory(Path.cwd(), datetime.now(UTC))
    warn = partial(print, "titrate:", file=sys.stderr)
    outcome = rescore(parsed.which, Path.cwd(), directory, parsed.command, warn)
    finished = outcome.finished
    print(table(finished.report))
    for line in [*changes_text(outcome), *finished.problems]:
        print(line)
    print(page_line(finished.directory, link=has_links(terminal=sys.stdout.isatty())))
    return 1 if finished.problems or finished.failed else 0


def _compare(parsed: argparse.Namespace) -> int:
    from harness.claims.claims import read_rules
    from harness.claims.compare import compare
    from harness.claims.comparison_table import comparison_table
    from harness.claims.no_change import check_directions, check_rules
    from harness.claims.saved import SAVED, SavedRuns

    rules = list(read_rules(parsed.fail, "fail"))
    saved = SavedRuns(Path.cwd() / SAVED)
    before, after = saved.find(parsed.before), saved.find(parsed.after)
    check_directions(rules, after, "fail")
    comparison = compare(before, after, metric=parsed.metric, cases=parsed.cases)
    print(comparison_table(comparison), end="")
    failed = [
        verdict for verdict in check_rules(rules, before, after, parsed.cases) if not verdict.holds
    ]
    for verdict in failed:
        print(f"{verdict.gate} of {verdict.experiment} failed: {verdict.detail}")
    return 1 if failed or comparison.disjoint or not comparison.rows else 0


def _export(parsed: argparse.Namespace) -> int:
    from harness.report.exports import export
    from harness.report.loaded import load_report

    for file in export(load_report(parsed.report), parsed.format, parsed.output):
        print(file)
    return 0


def _schema(parsed: argparse.Namespace) -> int:
    if parsed.which == "experiment":
        from harness.spec import experiment_schema

        print(json.dumps(experiment_schema(), indent=2))
    else:
        from harness.report.schema import json_schema

        print(json_schema(), end="")
    return 0


def _zoo_list(_parsed: argparse.Namespace) -> int:
    from harness.models import zoo

    print(listing(zoo.card(name) for name in zoo.names()), end="")
    return 0


def listing(cards: Iterable[Mapping[str, Any]]) -> str:
    """The zoo as a table: sizes and accuracies, and below it how these were measured."""
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for title in ("model", "parameters", "MB", "task", *_STYLES):
        table.add_column(title, justify="left" if title in {"model", "task"} else "right")
    purposes, measured = [], dict[str, list[str]]()
    for card in cards:
        name = f"zoo/{card['name']}"
        head = [name, f"{card['parameters']:,}", f"{card['bytes'] / 1e6:.1f}"]
        for task, accuracy in card["accuracy"].items():
            rates = (f"{accuracy[style]:.1%}" if style in accuracy else "-" for style in _STYLES)
            table.add_row(*head, task, *rates)
            head = [""] * len(head)
        purposes.append(f"{name}: {card['purpose']}")
        measured.setdefault("; ".join(card["measured"].values()), []).append(name)
    stream = io.StringIO()
    console = Console(file=stream, width=100, highlight=False, markup=False, emoji=False)
    console.print(table)
    console.print(*purposes, sep="\n", end="\n\n")
    for how, names in measured.items():
        console.print(f"Measured ({', '.join(names)}): {how}.")
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines()) + "\n"
