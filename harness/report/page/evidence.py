"""What a comparison of models shows beside its cases: sweeps over seeds, and tables of tokens.

Everything is text of the page, that no script has to draw: a token's examples unfold on a click.
"""

from __future__ import annotations

import io
import json
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from harness.errors import TitrateError
from harness.measure.diffing.evidence import Candidate, Evidence
from harness.report.detection import organism_of, with_limits
from harness.report.figures.sweep_plots import sweep_plots
from harness.report.labels import label, varying
from harness.report.report import CaseReport
from harness.report.rounding import fixed
from harness.report.sweeps import sweeps
from harness.store.results import CaseStatus

_CHANCE = "chance"
#: What only cases have that several raters judged.
_SEVERAL = "alpha"
_UNORDERED = frozenset({"diff.method", "diff.ordering", "diff.logits", "diff.mode"})
#: Cases whose tokens a page shows; files of the report have all.
_MOST_CASES = 60
#: Tokens of a list that it shows.
_TOKENS = 20


@dataclass(frozen=True)
class TokenRow:
    """A token of a table."""

    rank: int
    candidate: Candidate
    label: str
    numbers: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class AgentFinding:
    """What one agent found out."""

    who: str
    scores: str
    hypothesis: str
    asked: Sequence[Mapping[str, str]]


@dataclass(frozen=True)
class Listing:
    """The tokens of a case, list by list, and what agents made of them."""

    name: str
    status: CaseStatus
    lists: Mapping[str, Sequence[TokenRow]]
    columns: Sequence[str]
    about: str
    agents: Sequence[AgentFinding]


def overview(
    cases: Sequence[CaseReport], folders: Mapping[str, Path]
) -> tuple[Callable[[], Markup], dict[str, str | bytes]]:
    """The part of the page, and files of the report by name, of one experiment's cases.

    Args:
        cases: Of the experiment, baselines included.
        folders: Where the files of each case lie, by its id.
    """
    metric = cases[0].metric
    found = sweeps(cases, metric, _CHANCE, _UNORDERED, _controls(cases), _SEVERAL)
    found = with_limits(found, cases, metric)
    present = sum(case.grid is not None for case in cases)
    absent = max((case.grid or 0 for case in cases), default=0) - present
    name = cases[0].experiment
    pictures = {}
    for axis, figure in sweep_plots(found, name, cases[0].model, metric):
        image = io.BytesIO()
        figure.savefig(image, format="png")
        pictures[axis] = image.getvalue()

    def part() -> Markup:
        listings = list(_listings(cases, folders))
        markup = (
            _environment()
            .get_template("evidence.html.jinja")
            .render(
                metric=metric,
                absent=absent,
                sweeps=found,
                limited=any(each.blank is not None for each in found),
                pictures={axis: b64encode(each).decode() for axis, each in pictures.items()},
                listings=listings[:_MOST_CASES],
                left_out=max(0, len(listings) - _MOST_CASES),
                interval=_interval,
                fixed=fixed,
            )
        )
        return Markup(markup)  # noqa: S704 - rendered with autoescape

    files: dict[str, str | bytes] = {
        f"plots/{name}-{metric}-by-{axis}.png": picture for axis, picture in pictures.items()
    }
    if found:
        files[f"diff/{name}-sweeps.json"] = (
            json.dumps([asdict(each) for each in found], ensure_ascii=False, indent=1) + "\n"
        )
    return part, files


def _controls(cases: Sequence[CaseReport]) -> set[str]:
    """The variants of the cases' organisms that were taught nothing."""
    organisms = [each for each in map(organism_of, cases) if each is not None]
    return {name for each in organisms for name in each.controls}


def _listings(cases: Sequence[CaseReport], folders: Mapping[str, Path]) -> Iterator[Listing]:
    axes = varying(cases)
    for case in cases:
        folder = folders.get(case.id)
        if folder is None or case.grid is None:
            continue
        try:
            evidence = Evidence.of((folder / "evidence.json").read_text("utf-8"))
            labels = _labels(folder / "evaluation.json")
            agents = list(_told(folder / "agents.json"))
        except (OSError, ValueError, KeyError, TypeError, TitrateError):
            continue  # the files of a case are no part of its numbers
        lists = {
            group: [_row(rank, each, labels) for rank, each in enumerate(listed[:_TOKENS], start=1)]
            for group, listed in evidence.groups.items()
        }
        columns = next(
            ([name for name, _ in row.numbers] for rows in lists.values() for row in rows), []
        )
        about = f"{evidence.texts} texts, {evidence.positions} positions"
        about += f", of which {evidence.silent} say nothing" if evidence.silent else ""
        yield Listing(
            label(case.params, axes) or case.id, case.status, lists, columns, about, agents
        )


def _labels(file: Path) -> dict[tuple[str, int], str]:
    """What was judged of each token of each list."""
    if not file.is_file():
        return {}
    places: list[Any] = json.loads(file.read_text("utf-8"))["places"]
    return {(each["place"].rpartition(" ")[0], each["token"]): each["label"] for each in places}


def _told(file: Path) -> Iterator[AgentFinding]:
    """What every agent of a case asked and stated, and how that was graded."""
    for each in json.loads(file.read_text("utf-8")) if file.is_file() else ():
        scores = ["?" if score is None else f"{score:g}" for score in each["scores"]]
        who = "blackbox" if each["blackbox"] else "with the tokens"
        yield AgentFinding(
            who, ", ".join(scores), each["hypothesis"] or "none stated", each["answers"]
        )


def _row(rank: int, candidate: Candidate, labels: Mapping[tuple[str, int], str]) -> TokenRow:
    said = next(
        (
            each
            for (group, token), each in labels.items()
            if token == candidate.token and candidate.group in ("", group)
        ),
        "",
    )
    numbers = [
        (name.replace("_", " "), f"{value:.4g}") for name, value in candidate.numbers.items()
    ]
    return TokenRow(rank, candidate, said, numbers)


def _interval(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"[{fixed(low, 2)}, {fixed(high, 2)}]"


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("harness.report.page", "assets"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
