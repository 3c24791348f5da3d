r"""A report as LaTeX tables, one per experiment, to be `\input`; they need the package booktabs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from harness.report import loaded
from harness.report.labels import by_series, varying, worded
from harness.report.report import CaseReport, RunReport
from harness.report.rounding import fixed, percent
from harness.report.tables.case_columns import (
    NOTHING,
    agreement_text,
    change_words,
    changed,
    effect,
    interval,
)
from harness.statistics.estimates import Versus

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
    # Ligatures that would change what is read.
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
}
_MARKS = ((0.001, "***"), (0.01, "**"), (0.05, "*"))
_TESTS = {
    "mcnemar_exact": "exact McNemar test",
    "paired_bootstrap": "paired bootstrap of the aggregate",
    "sign_flip": "sign-flip permutation test",
}


def write_latex(report: loaded.Report, file: Path) -> list[Path]:
    """One file with a table per experiment."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(tables(report.report), encoding="utf-8")
    return [file]


def tables(report: RunReport) -> str:
    """All experiments of a report as LaTeX."""
    command = " ".join(report.run.command.split())
    head = f"% {command} ({report.run.started:%Y-%m-%d}). Needs \\usepackage{{booktabs}}."
    parts = [head, *(_table(report, name) for name in report.experiments)]
    return "\n".join(parts) + "\n"


def escaped(value: str) -> str:
    """Text as LaTeX prints it."""
    return "".join(_SPECIAL.get(character, character) for character in " ".join(value.split()))


def _table(report: RunReport, name: str) -> str:
    cases = by_series(report.experiment(name))
    first = cases[0]
    axes = varying(cases, always=next((case.dose_axis for case in cases if case.dose_axis), None))
    titles = [*(escaped(short) for short in axes.values()), escaped(first.metric)]
    holm = any(v.p_holm is not None for case in cases for v in case.versus_baseline.values())
    titles += [r"$\Delta$", "$+/-$", *(["$p$ Holm"] if holm else []), "$p$", "mde", "agree", "same"]
    lines = [
        r"\begin{table}",
        r"\centering\small",
        rf"\caption{{{_caption(cases)}}}",
        rf"\label{{tab:{_label(name)}}}",
        rf"\begin{{tabular}}{{{'l' * len(axes)}{'r' * (len(titles) - len(axes))}}}",
        r"\toprule",
        " & ".join(titles) + r" \\",
        r"\midrule",
        *(" & ".join(_row(report, case, axes, holm=holm)) + r" \\" for case in cases),
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines)


def _row(report: RunReport, case: CaseReport, axes: dict[str, str], *, holm: bool) -> Iterator[str]:
    is_baseline = case.id in report.baselines
    for axis in axes:
        if axis in case.params:
            yield escaped(worded(axis, case.params[axis]))
        else:
            yield "baseline" if is_baseline else "--"
    metric, versus = case.metrics.get(case.metric), case.versus_baseline.get(case.metric)
    yield interval(metric) if metric else escaped(case.status)
    yield _difference(versus) if versus else "--"
    yield changed(versus) if versus else "--"
    if holm:
        yield _p(versus.p_holm) if versus else "--"
    yield _p(versus.p) if versus else "--"
    found = effect(versus) if versus else NOTHING
    yield "--" if found == NOTHING else found
    yield agreement_text(case.agreement, bounds=False) if case.agreement else "--"
    yield f"{percent(case.agreement.identical)}\\,\\%" if case.agreement else "--"


def _caption(cases: list[CaseReport]) -> str:
    first = cases[0]
    compared = [versus for case in cases for versus in case.versus_baseline.values()]
    caption = (
        f"{escaped(first.experiment)}: {escaped(first.metric)} of {escaped(first.model)} on "
        f"{escaped(first.task.name)} ($n = {first.task.size}$) with 95\\,\\% intervals."
    )
    if compared:
        tests = sorted({_TESTS.get(versus.test, escaped(versus.test)) for versus in compared})
        holm = any(versus.p_holm is not None for versus in compared)
        corrected = (
            "$p$ Holm is the same, corrected by Holm's method for the number of cases, and decides"
            if holm
            else "it is not corrected for the number of cases"
        )
        caption += (
            " $\\Delta$: difference from the baseline, paired by sample, with its interval. "
            f"$p$: {' or '.join(tests)}; {corrected}: "
            "* $p < 0.05$, ** $p < 0.01$, *** $p < 0.001$. "
            f"$+/-$: samples that {change_words(first.kind(first.metric).good)}. "
            "mde: the smallest true difference that one test at 5\\,\\% finds with a probability "
            "of 80\\,\\%. "
            "agree: mean number of tokens before the first departure from the baseline, all where "
            "none departed; same: samples all of whose completions equal it."
        )
    incomplete = sum(case.status != "complete" for case in cases)
    return caption + (f" {incomplete} of {len(cases)} cases have no result." if incomplete else "")


def _difference(versus: Versus) -> str:
    interval = ""
    if versus.ci_low is not None and versus.ci_high is not None:
        low, high = (fixed(end, 2, signed=True) for end in (versus.ci_low, versus.ci_high))
        interval = f" [${low}$, ${high}$]"
    return f"${fixed(versus.delta, 2, signed=True)}${interval}{_mark(versus)}"


def _mark(versus: Versus) -> str:
    found = next((mark for limit, mark in _MARKS if versus.deciding_p < limit), "")
    return f"\\textsuperscript{{{found}}}" if found else ""


def _p(p: float | None) -> str:
    return "--" if p is None else "$<0.001$" if p < 0.001 else fixed(p, 3)


def _label(name: str) -> str:
    """Letters, digits and hyphens: other characters are special in labels of some packages."""
    return "".join(character if character.isalnum() else "-" for character in name)
