"""Below an experiment's table: what help came to, a row for each guided case."""

from __future__ import annotations

from collections.abc import Iterator

from harness.report.help_report import Estimated, HelpPoint, HelpReport
from harness.report.labels import curve_name, label, short_names
from harness.report.report import RunReport
from harness.report.tables.columns import Column


def help_columns(report: RunReport, experiment: str) -> list[Column]:
    """A row for each case with help; no column where there is none."""
    found = [each for each in report.help if each.experiment == experiment]
    if not found:
        return []
    rows = list(_rows(report, found))
    points = [point for _, _, point in rows]
    columns = [
        Column("help by", tuple(name for name, _, _ in rows), is_name=True),
        Column(
            "share",
            tuple(_share(point.share) for point in points),
            "the oracle's share of the tokens, with its 95 % interval",
        ),
        Column("accuracy", tuple(f"{point.accuracy:.2f}" for point in points), "", rank=2),
        Column(
            "PGR",
            tuple(_share(point.pgr) for point in points),
            "performance gap recovered: 0 the model alone, 1 the oracle alone",
        ),
    ]
    if any(point.promise for point in points):
        columns.append(
            Column(
                "promised",
                tuple(_promised(point) for point in points),
                "PGR of unseen samples at 95 %; on how many others it was shown, and with which "
                "threshold",
            )
        )
    if any(point.cost for point in points):
        columns.append(
            Column(
                "cost",
                tuple(_times(point.cost) for point in points),
                "tokens x weights per token, beside the model alone",
                rank=1,
            )
        )
    return columns


def help_text(report: RunReport, experiment: str) -> str:
    """The two models alone, and each trigger as a whole, in a line for each."""
    found = [each for each in report.help if each.experiment == experiment]
    curves, lines = [each.params for each in found], []
    for each in found:
        name = curve_name(each.trigger, each.params, curves)
        alone = f"model alone {each.weak:.2f}, oracle alone {each.strong:.2f}"
        if each.strong_cost is not None:
            alone += f" at {each.strong_cost:.1f}x the cost"
        if each.no_pgr is not None:
            lines.append(f"{name}: {alone}; no PGR: {each.no_pgr}")
            continue
        lines.append(
            f"{name}: {alone}; APGR {_share(each.apgr)}, CPT(50) {_share(each.cpt50)}, "
            f"CPT(80) {_share(each.cpt80)}"
            + (f", regret {_share(each.regret)}" if each.regret else "")
        )
    return "\n".join(lines)


def _rows(
    report: RunReport, found: list[HelpReport]
) -> Iterator[tuple[str, HelpReport, HelpPoint]]:
    params = {case.id: case.params for case in report.cases}
    curves = [each.params for each in found]
    for each in found:
        name = curve_name(each.trigger, each.params, curves)
        own = [params[point.case] for point in each.points]
        names = [axis for axis in own[0] if any(one.get(axis) != own[0][axis] for one in own)]
        for point, values in zip(each.points, own, strict=True):
            told = label(values, short_names(names))
            yield f"{name} {told}".rstrip(), each, point


def _share(each: Estimated | None) -> str:
    if each is None or each.value is None:
        return "-"
    low = "-inf" if each.low is None else f"{each.low:.2f}"
    high = "inf" if each.high is None else f"{each.high:.2f}"
    return f"{each.value:.2f} [{low}, {high}]"


def _promised(point: HelpPoint) -> str:
    told = point.promise
    if told is None:
        return "-"
    return f">= {told.aim:g} (n = {told.samples}, {told.threshold:.3g})"


def _times(each: Estimated | None) -> str:
    if each is None or each.value is None:
        return "-"
    if each.low is None or each.high is None:
        return f"{each.value:.2f}x"
    return f"{each.value:.2f}x [{each.low:.2f}, {each.high:.2f}]"
