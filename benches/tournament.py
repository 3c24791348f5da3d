"""What a tournament of sampling rules says: `python benches/tournament.py REPORT DIR`.

The first third of the samples chooses each rule's setting (validation), the others report it
(test); no sample does both. Everything is at equal generated tokens: a budget buys whole draws, so
that rules which make answers longer get fewer votes.

    tournament.png, tournament.csv    majority vote over tokens, each rule at its chosen setting
    ranking.csv                       the same at the end, paired with the plain sampler
    best_of.png, best_of.csv          expected best of N settings: what trying more of them is worth
    order.csv                         what the order of composition alone does
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from harness.metrics.entry import MetricEntry
from harness.report.draws.drawn import Samples, of_records
from harness.report.figures.figure import GREY, HEIGHT, INK, RULE, canvas, surround
from harness.report.figures.palette import MARKERS, ordered
from harness.report.labels import label, short_names
from harness.report.load import load_report, sample_records
from harness.report.report import CaseReport
from harness.statistics.intervals import CONFIDENCE
from harness.statistics.paired import paired_interval, summarise
from harness.statistics.votes import best_of

PLAIN, ORDER, HEAD = "tournament", "tournament_order", "tournament_"
_MAJ = MetricEntry("maj", "whether the most frequent answer is right", "higher", "rate")
#: Of the samples those that choose settings.
_VALIDATION = 1 / 3
_BUDGETS = 8


class Entrant(NamedTuple):
    """A rule at one of its settings."""

    rule: str
    setting: str
    samples: Samples


def votes(samples: Samples, names: Sequence[str], budget: float) -> dict[str, float]:
    """The majority vote of each sample that a budget of tokens pays for."""
    return {name: samples[name].orders.at_tokens("vote", budget) for name in names}


def entrants(cases: Sequence[CaseReport], drawn: Mapping[str, Samples]) -> list[Entrant]:
    """Every case with draws, by rule; the plain sampler's greedy case is `greedy`."""
    found = []
    for case in cases:
        rule = case.experiment.removeprefix(HEAD)
        if case.experiment == PLAIN:
            rule = "greedy" if case.params["sampling.temperature"] == 0 else "temperature"
        found.append(Entrant(rule, label(case.params, short_names([*case.params])), drawn[case.id]))
    return found


def chosen(found: Sequence[Entrant], names: Sequence[str], budget: float) -> Entrant:
    """The setting with the best vote on validation samples; of equal ones the first."""
    return max(found, key=lambda each: fmean(votes(each.samples, names, budget).values()))


def main(source: Path, target: Path) -> None:
    """Write all of it, and print the table."""
    report = load_report(source)
    drawn = of_records(sample_records(source))
    everyone = entrants([case for case in report.cases if drawn.get(case.id)], drawn)
    names = list(everyone[0].samples)
    cut = round(len(names) * _VALIDATION)
    validation, test = names[:cut], names[cut:]
    greedy = next(each for each in everyone if each.rule == "greedy")
    mean = fmean(each.draw.tokens for own in greedy.samples.values() for each in own.drawn)
    full = mean * max(
        len(each.samples[names[0]].drawn) for each in everyone if each.rule != "greedy"
    )
    by_rule: dict[str, list[Entrant]] = {}
    for each in everyone:
        if each.rule not in ("greedy", ORDER.removeprefix(HEAD)):
            by_rule.setdefault(each.rule, []).append(each)
    winners = [chosen(found, validation, full) for found in by_rule.values()]
    target.mkdir(parents=True, exist_ok=True)
    budgets = [mean * (full / mean) ** (at / (_BUDGETS - 1)) for at in range(_BUDGETS)]
    rows = _curves(winners, greedy, test, budgets)
    _write(target / "tournament.csv", rows)
    plain = next(each for each in winners if each.rule == "temperature")
    ranking = _ranking(winners, greedy, plain, validation, test, full)
    _write(target / "ranking.csv", ranking)
    about = f"{report.cases[0].model}  ·  {report.cases[0].task.name}  ·  settings chosen on "
    about += f"{len(validation)} samples, reported on {len(test)} others"
    _picture(rows, ranking, about).savefig(target / "tournament.png")
    best = [
        {"rule": rule, "n": n, "expected_best": f"{best_of(scores, n):.4f}"}
        for rule, found in by_rule.items()
        for scores in [[fmean(votes(each.samples, validation, full).values()) for each in found]]
        for n in range(1, len(scores) + 1)
    ]
    _write(target / "best_of.csv", best)
    _best_picture(best, about).savefig(target / "best_of.png")
    orders = [each for each in everyone if each.rule == ORDER.removeprefix(HEAD)]
    _write(target / "order.csv", _orders(orders, names, full))
    for row in ranking:
        print("  ".join(str(value) for value in row.values()))


def _curves(
    winners: Sequence[Entrant], greedy: Entrant, test: Sequence[str], budgets: Sequence[float]
) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for each in [greedy, *winners]:
        for budget in budgets:
            own, reference = votes(each.samples, test, budget), votes(greedy.samples, test, budget)
            found = summarise(own, _MAJ)
            low, high = paired_interval(own, reference, CONFIDENCE, _MAJ)
            rows.append(
                {
                    "rule": each.rule,
                    "setting": each.setting,
                    "tokens": round(budget),
                    "maj": f"{found.value:.4f}",
                    "low": f"{found.ci_low or 0:.4f}",
                    "high": f"{found.ci_high or 0:.4f}",
                    "minus_greedy": f"{found.value - fmean(reference.values()):+.4f}",
                    "paired_low": "" if low is None else f"{low:+.4f}",
                    "paired_high": "" if high is None else f"{high:+.4f}",
                }
            )
    return rows


def _ranking(
    winners: Sequence[Entrant],
    greedy: Entrant,
    plain: Entrant,
    validation: Sequence[str],
    test: Sequence[str],
    budget: float,
) -> list[dict[str, object]]:
    """Each rule at the full budget: on validation, on test, and paired with the plain sampler."""
    rows: list[dict[str, object]] = []
    for each in [greedy, *winners]:
        own, others = votes(each.samples, test, budget), votes(plain.samples, test, budget)
        low, high = paired_interval(own, others, CONFIDENCE, _MAJ)
        lengths = [one.draw.tokens for name in test for one in each.samples[name].drawn]
        rows.append(
            {
                "rule": each.rule,
                "setting": each.setting,
                "validation": f"{fmean(votes(each.samples, validation, budget).values()):.3f}",
                "test": f"{fmean(own.values()):.3f}",
                "minus_plain": f"{fmean(own.values()) - fmean(others.values()):+.3f}",
                "paired_low": "" if low is None else f"{low:+.3f}",
                "paired_high": "" if high is None else f"{high:+.3f}",
                "tokens_per_draw": f"{fmean(lengths):.1f}",
            }
        )
    return sorted(rows, key=lambda row: -float(str(row["test"])))


def _orders(
    found: Sequence[Entrant], names: Sequence[str], budget: float
) -> list[dict[str, object]]:
    """The same cuts in other orders, against transformers' at the same temperature."""
    rows: list[dict[str, object]] = []
    for each in found:
        partner = next(other for other in found if other.setting == _as_hf(each.setting))
        own, others = votes(each.samples, names, budget), votes(partner.samples, names, budget)
        low, high = paired_interval(own, others, CONFIDENCE, _MAJ)
        same = fmean(
            [
                a.draw.answer == b.draw.answer
                for a, b in zip(each.samples[name].drawn, partner.samples[name].drawn, strict=True)
            ].count(True)
            / len(each.samples[name].drawn)
            for name in names
        )
        rows.append(
            {
                "setting": each.setting,
                "maj": f"{fmean(own.values()):.3f}",
                "minus_hf": f"{fmean(own.values()) - fmean(others.values()):+.3f}",
                "paired_low": "" if low is None else f"{low:+.3f}",
                "paired_high": "" if high is None else f"{high:+.3f}",
                "same_answers": f"{same:.3f}",
            }
        )
    return rows


def _as_hf(setting: str) -> str:
    head, _, _ = setting.rpartition("compose=")
    return f"{head}compose=hf"


def _picture(
    rows: Sequence[Mapping[str, object]], ranking: Sequence[Mapping[str, object]], about: str
) -> Figure:
    """Majority vote over tokens, and how each rule differs from the plain sampler at their end."""
    figure = Figure(figsize=(11.0, 6.2), dpi=100, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    curves, forest = figure.subplots(1, 2, width_ratios=(3, 2))
    rules = [str(row["rule"]) for row in ranking]
    hues = dict(zip(rules, (hue.light for hue in ordered(len(rules))), strict=True))
    for at, rule in enumerate(rules):
        own = [row for row in rows if row["rule"] == rule]
        xs, ys = ([float(str(row[key])) for row in own] for key in ("tokens", "maj"))
        style = {"color": INK, "linestyle": "--"} if rule == "greedy" else {"color": hues[rule]}
        setting = own[0]["setting"]
        curves.plot(
            xs,
            ys,
            marker=MARKERS[at % len(MARKERS)],
            markersize=4,
            linewidth=1.3,
            label=f"{rule}: {setting}",
            **style,
        )  # type: ignore[arg-type]
    curves.set_xscale("log", base=2)
    curves.set_xticks(xs, [f"{x:g}" for x in xs])
    curves.minorticks_off()
    curves.set_xlabel("generated tokens per problem")
    curves.set_ylabel("majority vote is right")
    curves.legend(frameon=False, fontsize=7, loc="lower right")
    for at, row in enumerate(reversed(ranking)):
        delta = float(str(row["minus_plain"]))
        bounds = [float(str(row[key]) or delta) for key in ("paired_low", "paired_high")]
        forest.plot(bounds, [at, at], color=GREY, linewidth=1)
        colour = INK if row["rule"] == "greedy" else hues[str(row["rule"])]
        forest.plot([delta], [at], "o", color=colour, markersize=5)
    forest.set_yticks(range(len(rules)), rules[::-1])
    forest.axvline(0, color=GREY, linewidth=0.8, linestyle=(0, (5, 3)))
    forest.set_xlabel("minus the plain sampler, paired, 95 %")
    for axes in (curves, forest):
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        axes.grid(axis="y", color=RULE, linewidth=0.8)
        axes.set_axisbelow(True)
    figure.suptitle(f"Sampling rules at equal tokens\n{about}", x=0.01, ha="left", size=10)
    return figure


def _best_picture(best: Sequence[Mapping[str, object]], about: str) -> Figure:
    """What a rule gains by having more settings to try."""
    figure, axes = canvas(HEIGHT)
    rules = list(dict.fromkeys(str(row["rule"]) for row in best))
    for at, (rule, hue) in enumerate(zip(rules, ordered(len(rules)), strict=True)):
        own = [row for row in best if row["rule"] == rule]
        xs, ys = ([float(str(row[key])) for row in own] for key in ("n", "expected_best"))
        marker = MARKERS[at % len(MARKERS)]
        axes.plot(xs, ys, color=hue.light, marker=marker, markersize=3.5, label=rule)
    axes.set_xlabel("settings tried, N")
    axes.set_ylabel("expected best majority vote")
    axes.grid(axis="y", color=RULE, linewidth=0.8)
    surround(
        figure,
        axes,
        title="The expected best of N settings",
        subtitle=about,
        caption="On the samples that choose settings: a rule with more of them wins by trying.",
        entries=rules,
    )
    return figure


def _write(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        if rows:
            writer = csv.DictWriter(file, rows[0], lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
