"""What each verdict of a spec takes, as a table and as JSON: samples and tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from harness.report.tables.columns import Column, as_table, fitted
from harness.report.tables.terminal import legend_of, rendered, terminal_width
from harness.runs.forecast import Forecast
from harness.runs.verdicts import FIXED_ALONE, PlannedVerdict, VerdictPlanner
from harness.statistics.power import ALPHA, POWER

_CHANGES = "share of samples whose value changes at all: the fewer, the clearer the same difference"
_TOKENS = "of all cases that the verdict is about, and their baselines"


@dataclass(frozen=True)
class Needed:
    """The plan of one experiment.

    Args:
        planner: What it was planned by.
        verdicts: What each takes.
        per_draw: Tokens of a completion.
    """

    planner: VerdictPlanner
    verdicts: Sequence[PlannedVerdict]
    per_draw: float

    @classmethod
    def of(cls, planner: VerdictPlanner, forecasts: Sequence[Forecast]) -> Needed:
        """That of these verdicts; completions are as long as stored ones are, or as they may be."""
        longest = planner.cases[0].experiment.sampling.max_new_tokens
        known = (e.expected / e.at_most for e in forecasts if e.expected and e.at_most)
        return cls(planner, list(planner.verdicts()), longest * next(known, 1.0))

    @property
    def size(self) -> int:
        """Samples that there are."""
        return self.planner.cases[0].task.size

    def fixed_tokens(self, verdict: PlannedVerdict) -> int | None:
        """Tokens that it takes with all samples at once."""
        if verdict.fixed is None:
            return None
        return self._tokens(verdict.fixed * (verdict.doses + verdict.baselines))

    def stopped_tokens(self, verdict: PlannedVerdict) -> int | None:
        """Those that it takes with stopping, on average: baselines lead, and go as far as any dose
        may.
        """
        if verdict.mean is None or verdict.most is None:
            return None
        lead = verdict.most if verdict.doses else verdict.mean
        return self._tokens(verdict.mean * verdict.doses + lead * verdict.baselines)

    def _tokens(self, samples: int) -> int:
        return round(samples * self.planner.cases[0].experiment.sampling.draws * self.per_draw)

    def document(self) -> dict[str, Any]:
        """As JSON has it."""
        planner = self.planner
        return {
            "experiment": planner.cases[0].experiment.name,
            "effect": planner.effect,
            "power": POWER,
            "alpha": _alpha(planner),
            "samples": self.size,
            "pilot": None if planner.pilot is None else planner.pilot.run,
            "verdicts": [
                asdict(each)
                | {
                    "fixed_tokens": self.fixed_tokens(each),
                    "stopped_tokens": self.stopped_tokens(each),
                }
                for each in self.verdicts
            ],
        }

    def table(self, width: int | None = None) -> str:
        """As text of at most `width` columns: what was assumed, and why a number is missing, stands
        below it.
        """
        width = terminal_width() if width is None else width
        planner, rows = self.planner, self.verdicts

        def samples(count: int | None) -> str:
            return "-" if count is None else f"{count:,}" + ("" if count <= self.size else " !")

        def number(count: int | None) -> str:
            return "-" if count is None else f"{count:,}"

        changes = ("-" if each.changes is None else f"{each.changes:.2g}" for each in rows)
        columns = [
            Column("verdict", tuple(each.verdict for each in rows), is_name=True),
            Column("changes", tuple(changes), _CHANGES),
            Column("all at once", tuple(samples(each.fixed) for each in rows), "samples"),
            Column("tokens", tuple(number(self.fixed_tokens(each)) for each in rows), _TOKENS),
            Column("stopping", tuple(samples(each.mean) for each in rows), "samples on average"),
            Column("at most", tuple(samples(each.most) for each in rows), "samples"),
            Column("its tokens", tuple(number(self.stopped_tokens(r)) for r in rows), "on average"),
        ]
        shown, _ = fitted(columns, width)
        told = (
            f"{planner.cases[0].experiment.name}: samples with which a verdict is reached with a "
            f"power of 80 %; differences at {_alpha(planner):g} corrected by Holm's method for "
            f"{rows[0].doses} doses, at its strictest"
        )
        legend = legend_of({column.title: {column.meaning: []} for column in shown})
        parts: list[RenderableType] = [Text(told), as_table(shown), Text(legend)]
        parts += [Text(line) for line in dict.fromkeys(map(_told, rows))]
        if any(each.why == FIXED_ALONE for each in rows):
            parts.append(
                Text(f"what has samples all at once and none with stopping: {FIXED_ALONE}")
            )
        if any(count and count > self.size for each in rows for count in (each.fixed, each.most)):
            parts.append(Text(f"!: there are {self.size:,} samples"))
        return rendered(parts, colour=False, width=width).rstrip("\n")


def _alpha(planner: VerdictPlanner) -> float:
    stop = planner.cases[0].experiment.stop
    return ALPHA if stop is None else stop.alpha


def _told(each: PlannedVerdict) -> str:
    """What was assumed of a verdict, and what it lacks."""
    why = "" if each.why == FIXED_ALONE else each.why  # said once, of all of them
    parts = [f"if {each.assumed}" if each.assumed else "", why]
    return f"{each.verdict}: {'; '.join(filter(None, parts))}"
