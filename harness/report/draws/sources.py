"""Where draws come from: reports, lm-eval's logged samples, and rank files beside either."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.errors import ReportError
from harness.measure.rank_files import read_ranks
from harness.report.draws.drawn import Samples, of_records
from harness.report.draws.lm_eval_samples import lm_eval_records
from harness.report.foreign import lm_eval_files
from harness.report.load import load_report, sample_records

#: What a rank file has only steps of: those of low confidence, so that all of them are.
_UNSURE = 0.0


def samples_of(sources: Sequence[Path], ranks: Path | None = None) -> dict[str, Samples]:
    """Case -> sample -> draws of all sources; cases of several sources have its name in front.

    Args:
        sources: Folders of reports, or of lm-eval's output, or one of its `samples_*.jsonl`.
        ranks: A file of the original code with a list of ranks per completion, in the order of the
            one source's lines. Every rank in it counts as one of a token of low confidence.

    Raises:
        ReportError: a source cannot be read, or has another number of completions than `ranks`.
    """
    if ranks is not None and len(sources) > 1:
        raise ReportError(f"{ranks}: has the ranks of one source, and {len(sources)} are given")
    found: dict[str, Samples] = {}
    for source in sources:
        records: Iterable[Mapping[str, Any]] = _records(source)
        if ranks is not None:
            records = _with_ranks(list(records), ranks)
        for case, samples in of_records(records).items():
            name = case if len(sources) == 1 else f"{source.stem}: {case}"
            if samples:
                found[name] = samples
    if not found:
        raise ReportError(f"{sources[0]}: nothing in it is right or wrong; nothing to analyse")
    return found


def baselines_of(sources: Sequence[Path]) -> dict[str, str]:
    """What each case of the reports among the sources is compared with, by their names above."""
    found = {}
    for source in sources:
        if not source.is_dir() or lm_eval_files.fits(source):
            continue
        head = "" if len(sources) == 1 else f"{source.stem}: "
        for case in load_report(source).cases:
            if case.baseline is not None:
                found[f"{head}{case.id}"] = f"{head}{case.baseline}"
    return found


def _records(source: Path) -> Iterator[Mapping[str, Any]]:
    if source.is_dir() and not lm_eval_files.fits(source):
        yield from sample_records(source)
        return
    for file in lm_eval_files.files_at(source):
        yield from lm_eval_records(file)


def _with_ranks(records: Sequence[Mapping[str, Any]], path: Path) -> Iterator[Mapping[str, Any]]:
    lists = read_ranks(path)
    if len(lists) != len(records):
        raise ReportError(
            f"{path}: {len(lists)} lists of ranks for {len(records)} completions; use the file of "
            "the same run"
        )
    for record, ranks in zip(records, lists, strict=True):
        yield {**record, "traces": {"rank": ranks, "top_probability": [_UNSURE] * len(ranks)}}
