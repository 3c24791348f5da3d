"""The one file: a template filled with the report, its scripts and styles, and the samples.

The page loads nothing and sends nothing. Its Content-Security-Policy allows exactly the script and
the style that are in it, by their hashes, so that nothing a model wrote can run. What a model wrote
is only ever inside JSON, where `<` is escaped, or compressed; scripts put it on the page as text.
"""

from __future__ import annotations

import io
import json
from base64 import b64encode
from collections.abc import Iterator, Mapping
from functools import cache
from hashlib import sha256
from importlib.resources import files
from types import MappingProxyType
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from matplotlib.figure import Figure

from harness.metrics.column import column_of
from harness.report.figures.help import help_figure
from harness.report.figures.plotted import SIGNIFICANT, labels
from harness.report.labels import dose_name, dose_text
from harness.report.page.findings import findings, is_significant
from harness.report.page.head import attention, facts, verdicts
from harness.report.page.identities import identities
from harness.report.page.samples import ROW, Embedded
from harness.report.page.view import view
from harness.report.report import CaseReport, RunReport
from harness.report.rounding import ceiling, fixed
from harness.report.subject import subject
from harness.report.tables.case_columns import interval, p_value
from harness.report.tables.doses import dose_columns, potencies, refused, windows
from harness.report.tables.help import help_text
from harness.report.tables.predictors import predictors
from harness.report.tables.stopping import saved
from harness.report.tables.vector_norms import norms_text

#: In the order in which a reader should meet them; the browser gets them as one script.
_SCRIPTS = (
    "elements.js",
    "address.js",
    "embedded.js",
    "words.js",
    "tooltip.js",
    "theme.js",
    "scale.js",
    "chart.js",
    "curves.js",
    "dots.js",
    "cases.js",
    "heatmap.js",
    "departure.js",
    "confidence.js",
    "comparison.js",
    "samples.js",
    "identities.js",
    "main.js",
)

#: What is said of an experiment's curves, in lines.
_SAID = (saved, windows, potencies, refused)
_SIGNS = {"holds": "✓", "violated": "✗", "undecided": "?", "unchecked": "\N{EN DASH}"}
#: Errors and warnings at the head of the page; the rows of the cases have them all.
_ATTENTION = 12


def page(
    report: RunReport,
    samples: Embedded,
    pictures: Mapping[str, bytes] = MappingProxyType({}),
    parts: Mapping[str, Markup] = MappingProxyType({}),
) -> Iterator[str]:
    """The whole page, piece by piece: samples make it large.

    Args:
        report: What to show.
        samples: Its samples, packed.
        pictures: A figure (PNG) of what was traced token by token, by experiment.
        parts: What a measure shows beside the cases, by experiment.
    """
    script, style = _assets()
    document = view(report) | {
        "indexes": [name in samples.indexes for name in report.experiments],
        "row": ROW,
        "columns": {name: _column(name) for name in samples.columns},
    }
    return (
        page_environment()
        .get_template("index.html.jinja")
        .generate(
            title=", ".join(report.experiments)
            or ("Invariants" if report.invariants else "Report"),
            run=report.run,
            facts=facts(report),
            verdicts=verdicts(report),
            attention=attention(report),
            identities=identities(report),
            attention_shown=_ATTENTION,
            signs=_SIGNS,
            experiments=[
                _experiment(report, name, pictures) | {"part": parts.get(name, "")}
                for name in report.experiments
            ],
            significant=SIGNIFICANT,
            corrected=any(
                versus.p_holm is not None
                for case in report.cases
                for versus in case.versus_baseline.values()
            ),
            document=_json(document),
            # Base64 needs no escaping, and escaping megabytes would take long.
            indexes=[Markup(samples.indexes.get(name, "")) for name in report.experiments],  # noqa: S704
            chunks=map(Markup, samples.chunks),
            script=Markup(script),  # noqa: S704  # the package's own
            style=Markup(style),  # noqa: S704  # the package's own
            script_hash=hash_of(script),
            style_hash=hash_of(style),
        )
    )


def _column(name: str) -> dict[str, str]:
    """What the page says of numbers per token."""
    column = column_of(name)
    return {"summary": column.summary, "unit": column.unit}


def _changes(case: CaseReport) -> tuple[str, str]:
    """What is said of samples that changed, as `changeNames` of words.js says it."""
    undirected = case.kind(case.metric).good == "neither"
    return ("fell", "rose") if undirected else ("worse", "better")


def _experiment(report: RunReport, name: str, pictures: Mapping[str, bytes]) -> dict[str, Any]:
    cases = report.experiment(name)
    return {
        "name": name,
        "subtitle": "  \N{MIDDLE DOT}  ".join(subject(report, name, versions=True)),
        "norms": norms_text(cases),
        "metric": cases[0].metric,
        "dose": dose_name(cases) if any(case.dose_axis for case in cases) else "",
        "findings": findings(report, name),
        "changes": _changes(cases[0]),
        "holm": "anytime p Holm" if any(case.stopped for case in cases) else "p Holm",
        "doses": [
            [str(cell) for cell in row]
            for row in zip(*(column.cells for column in dose_columns(report, name)), strict=True)
        ],
        "dose_titles": [(each.title, each.meaning) for each in dose_columns(report, name)],
        "said": [
            *saved(report, name),
            *windows(report, name),
            *potencies(report, name),
            *refused(report, name),
            *predictors(report, name),
        ],
        "labels": labels(report, name),
        "different": sum(map(is_significant, cases)),
        "compared": sum(case.metric in case.versus_baseline for case in cases),
        "cases": len(cases),
        "picture": b64encode(pictures[name]).decode() if name in pictures else None,
        "help": _png(help_figure(report, name)),
        "help_lines": help_text(report, name).splitlines(),
    }


def _png(figure: Figure | None) -> str | None:
    """A figure as the page has it, if there is one."""
    if figure is None:
        return None
    image = io.BytesIO()
    figure.savefig(image, format="png")
    return b64encode(image.getvalue()).decode()


@cache
def page_environment() -> Environment:
    """Templates of pages, in which all text is escaped."""
    environment = Environment(
        loader=PackageLoader("harness.report.page", "assets"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "interval": _interval,
        "change": _change,
        "p": _p,
        "detectable": _detectable,
        "dose": dose_text,
    }
    return environment


@cache
def _assets() -> tuple[str, str]:
    """The scripts as one, and the style."""
    folder = files("harness.report.page") / "assets"
    scripts = [(folder / name).read_text("utf-8") for name in _SCRIPTS]
    return '"use strict";\n' + "\n".join(scripts), (folder / "page.css").read_text("utf-8")


def hash_of(text: str) -> str:
    """As a Content-Security-Policy names what it allows."""
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"


def _json(document: Mapping[str, Any]) -> Markup:
    """JSON that cannot end the element it stands in: ASCII without `<`."""
    text = json.dumps(document, separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("<", "\\u003c"))  # noqa: S704


def _interval(case: CaseReport) -> str:
    """The primary metric with its interval."""
    return interval(case.metrics[case.metric]) if case.metric in case.metrics else case.status


def _change(case: CaseReport) -> str:
    delta = case.versus_baseline[case.metric].delta
    return fixed(delta, 2, signed=True).replace("-", "\N{MINUS SIGN}")


def _detectable(case: CaseReport) -> str:
    """The smallest difference that the comparison finds with good power, rounded up, if known."""
    effect = case.versus_baseline[case.metric].minimal_effect
    return "" if effect is None else f"±{ceiling(effect)}"


def _p(p: float | None) -> str:
    """As tables write it, never a zero."""
    return "\N{EN DASH}" if p is None else p_value(p)
