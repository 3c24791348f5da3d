"""Below an experiment's table: at which dose half of an effect is there, and which is safe."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from pydantic import JsonValue

from harness.report.dose_report import DoseReport, PotencyReport, RatioInterval, WindowReport
from harness.report.labels import dose_name, label, short_names, worded
from harness.report.report import RunReport
from harness.report.tables.columns import Column
from harness.sampling import rules
from harness.spec.doses import FEWEST, RESPONSE

#: More ratios than these are for report.json.
_MOST_RATIOS = 6


def dose_columns(report: RunReport, experiment: str) -> list[Column]:
    """A row for each curve of an experiment; no column where nothing is said of any."""
    found = [each for each in report.doses if each.experiment == experiment]
    if not found:
        return []
    axis = dose_name(report.experiment(experiment))
    metrics = dict.fromkeys(each.metric for each in found)
    names = tuple(_names(found, metrics))
    columns = [
        Column(f"{', '.join(metrics)} by {axis}", names, is_name=True),
        Column(
            "ED50",
            tuple(map(_ed50, found)),
            f"the {axis} at which half of the change is there, with its 95 % interval",
        ),
        Column(
            "NOEL",
            tuple(map(_noel, found)),
            "the last one below LOEL",
            rank=4,
        ),
        Column(
            "LOEL",
            tuple(map(_loel, found)),
            "from which on all differ from the first (Holm over one curve's doses, where p Holm "
            "has the whole experiment's)"
            + (
                ", with what another run of this size would say in 95 %"
                if any(each.levels for each in found)
                else ""
            ),
            rank=5,
        ),
    ]
    if any(each.benchmark for each in found):
        columns += [
            Column(
                "BMDL",
                tuple(map(_lower, found)),
                "below which a change by 0.05, for the worse if one is, is excluded at 95 %",
                rank=6,
            ),
            Column(
                "BMD",
                tuple(map(_benchmark, found)),
                "where it is, with its 95 % interval",
                rank=2,
                shorter=tuple(_benchmark(each).partition(" [")[0] for each in found),
                shorter_rank=1,
                shorter_meaning="where it is",
            ),
        ]
    if any(each.slope for each in found):
        columns.append(
            Column(
                "slope",
                tuple(map(_slope, found)),
                "of Hill's curve, if not rejected",
                rank=3,
            )
        )
    return columns


def reasons(report: RunReport, experiment: str) -> str:
    """Why curves have no ED50 or no BMDL, or no dose is read, each reason once; empty where all
    have both, and where there are no doses.
    """
    found = [each for each in report.doses if each.experiment == experiment]
    if not found:
        return _unread(report, experiment)
    told: dict[tuple[str, str], list[str]] = {}
    metrics = dict.fromkeys(each.metric for each in found)
    for each, name in zip(found, _names(found, metrics), strict=True):
        no_benchmark = each.no_benchmark or _no_benchmark(report, each)
        for what, why in (("no ED50 of", each.no_ed50), ("no BMDL of", no_benchmark)):
            if why is not None:
                told.setdefault((what, why), []).append(name)
    return "; ".join(f"{what} {', '.join(names)}: {why}" for (what, why), names in told.items())


def _unread(report: RunReport, experiment: str) -> str:
    """Why nothing is read of an experiment that has doses and results at them."""
    cases = [each for each in report.experiment(experiment) if each.status == "complete"]
    doses = {each.dose for each in cases if each.dose is not None and 0 < each.dose < math.inf}
    axis = next((each.dose_axis for each in cases if each.dose_axis), None)
    if len(doses) < 2 or axis is None:  # one beside none is a comparison, and no curve to be
        return ""
    section, _, name = axis.partition(".")
    if section == "sampling" and name in rules and rules.get(name).weakens:
        return f"no dose is read: a higher {name} does less, and doses are read where it does more"
    if len(doses) + 1 >= FEWEST:
        return ""
    fewest = f"a curve has {FEWEST} at least, the one that changes nothing included"
    return f"no dose is read of {len(doses)} above 0: {fewest}"


def _no_benchmark(report: RunReport, each: DoseReport) -> str | None:
    """Why a curve has no benchmark dose though nothing was wrong with its run."""
    kind = report.experiment(each.experiment)[0].kind(each.metric)
    if each.benchmark is not None or kind.aggregate is not None or kind.bounds == (0, 1):
        return None
    return (
        f"{RESPONSE:g} is a change of what lies between 0 and 1; name another one in a gate, "
        f"bmdl({each.metric}, CHANGE) >= DOSE"
    )


def refused(report: RunReport, experiment: str) -> list[str]:
    """`reasons` as a list of one, for what says a line at a time."""
    return [why] if (why := reasons(report, experiment)) else []


def windows(report: RunReport, experiment: str) -> list[str]:
    """The windows of an experiment, a line each."""
    found = [each for each in report.windows if each.experiment == experiment]
    return [
        f"window{of}: {window_text(each)}"
        for each, name in zip(found, _names(found, {}), strict=True)
        for of in [f" of {name}" if name != "all" else ""]
    ]


def window_text(each: WindowReport) -> str:
    """What is known of a window, and what it says: `0.4 to 0.7: ...`."""
    if each.ed50 is None:
        return f"none is read: {each.why}"
    begins = f"{each.ed50.value:.3g} [{each.ed50.low:.3g}, {each.ed50.high:.3g}]"
    safe = f"> {each.highest:g}" if each.lower is None else f"{each.lower:.3g}"
    head = {
        "exists": f"{each.ed50.value:.3g} to {each.end:.3g}",
        "none": "none shown",
        "undecided": "undecided",
    }[each.state]
    index = each.why if each.index is None else f"index {ratio_text(each.index)}"
    return (
        f"{head} (ED50 of {each.target} {begins}, BMDL of {each.capability} at a loss of "
        f"{each.response:g} {safe}); {index}"
    )


def potencies(report: RunReport, experiment: str) -> list[str]:
    """Ratios of the ED50s of an experiment's curves, a line each; of a few curves only.

    Why there is none is told once where no curve's ED50 tells it.
    """
    own = [each for each in report.potencies if each.experiment == experiment]
    if own and any(each.stopped for each in report.experiment(experiment)):
        return [f"no ratio of ED50s: {own[0].why}"]
    found = [each for each in own if each.ratio]
    return [potency_text(each) for each in found] if len(found) <= _MOST_RATIOS else []


def potency_text(each: PotencyReport) -> str:
    """`style=agentic takes 0.8 [0.7, 0.9] times the dose of assisted (pass@1)`."""
    names = short_names([each.axis, *each.params])
    shared = label(each.params, {axis: names[axis] for axis in each.params})
    curve = label({each.axis: each.value}, {each.axis: names[each.axis]})
    times = (
        f"no ratio: {each.why}" if each.ratio is None else f"takes {ratio_text(each.ratio)} times"
    )
    of = f" the dose of {worded(each.axis, each.other)}" if each.ratio is not None else ""
    return f"{curve} {times}{of} ({each.metric}{f', {shared}' if shared else ''})"


def ratio_text(ratio: RatioInterval) -> str:
    """`1.4 [1.1, 1.9]`, or without end."""
    high = "without end" if ratio.high is None else f"{ratio.high:.3g}"
    return f"{ratio.value:.3g} [{ratio.low:.3g}, {high}]"


def _names(found: Sequence[DoseReport | WindowReport], metrics: dict[str, None]) -> Iterator[str]:
    """Each curve by the axes in which they differ, and its metric where that differs, too."""
    values: dict[str, list[JsonValue]] = {}
    for each in found:
        for axis, value in each.params.items():
            values.setdefault(axis, []).append(value)
    varying = [axis for axis, seen in values.items() if any(value != seen[0] for value in seen)]
    for each in found:
        named = label(each.params, short_names(varying))
        own = [each.metric] if len(metrics) > 1 and isinstance(each, DoseReport) else []
        yield ", ".join([*own, *([named] if named else [])]) or "all"


def _ed50(each: DoseReport) -> str:
    if each.ed50 is None:
        return "-"
    return f"{each.ed50.value:.3g} [{each.ed50.low:.3g}, {each.ed50.high:.3g}]"


def _noel(each: DoseReport) -> str:
    if each.levels is None:
        return f"{each.noel:.4g}"
    return f"{each.noel:.4g} [{each.levels.noel_low:.4g}, {each.levels.noel_high:.4g}]"


def _loel(each: DoseReport) -> str:
    def dose(found: float | None) -> str:
        return "none" if found is None else f"{found:.4g}"

    own = "-" if each.loel is None else f"{each.loel:.4g}"
    if each.levels is None:
        return own
    return f"{own} [{dose(each.levels.loel_low)}, {dose(each.levels.loel_high)}]"


def _lower(each: DoseReport) -> str:
    return "-" if each.benchmark is None else _at_most(each, each.benchmark.lower)


def _benchmark(each: DoseReport) -> str:
    if each.benchmark is None:
        return "-"
    own, low, high = each.benchmark.dose, each.benchmark.low, each.benchmark.high
    if low is None:  # a report of an earlier version, too
        return _at_most(each, own)
    return f"{_at_most(each, own)} [{low:.3g}, {_at_most(each, high)}]"


def _at_most(each: DoseReport, dose: float | None) -> str:
    return f"> {each.doses[-1]:.4g}" if dose is None else f"{dose:.3g}"


def _slope(each: DoseReport) -> str:
    if each.slope is None:
        return "-"
    return f"{each.slope.value:.2g} [{each.slope.low:.2g}, {each.slope.high:.2g}]"
