"""The lengths of added vectors, told once for all cases that share them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from pydantic import JsonValue

from harness.report.report import CaseReport


def norms_text(cases: Iterable[CaseReport]) -> str:
    """Each place and length once, as a sentence; empty where nothing was steered."""
    parts: dict[str, None] = {}
    files: dict[str, None] = {}
    for case in cases:
        if case.vectors:
            files |= dict.fromkeys(_files(case.settings.get("intervention")))
        for each in case.vectors:
            place = f"layer {each.layer}" + ("" if each.site == "block" else f" {each.site}")
            length = f"{each.norm:.3g}"
            if each.relative is not None:
                length += (
                    f" ({each.relative:.2g} of the residual stream's {each.residual_norm:.3g})"
                )
            parts[f"{place}: {length}"] = None
    of = f" of {', '.join(files)}" if files else ""
    return f"norms of the vectors{of}: {'; '.join(parts)}" if parts else ""


def _files(section: JsonValue) -> Iterator[str]:
    """The names of the files that a section takes its pairs or vectors from; none of what is
    built in, whose names are no paths.
    """
    if isinstance(section, list):
        for each in section:
            yield from _files(each)
    elif isinstance(section, dict):
        for name, value in section.items():
            if name in {"pairs", "file"} and isinstance(value, str):
                if "/" in value:
                    yield Path(value).name
            else:
                yield from _files(value)
