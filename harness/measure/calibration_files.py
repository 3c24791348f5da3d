"""The files of a calibration: traces, the grid as a table, and what follows from it, as JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import TaskError
from harness.files.atomic import replace_file
from harness.measure.rank_files import read_traces
from harness.statistics.calibration import BINS, CalibrationSums, PowerLaw, Traces

TRACES, GRID, RESULT = "traces.jsonl", "grid.csv", "calibration.json"
#: As the original writes probabilities.
_DECIMALS = 8
#: How far numbers move that are counted of these, in the logarithms of fits most.
ROUNDING = 1e-4
_AT_ONCE = 10_000
#: Places that are drawn together where no answer is known: about as many as one of GSM8K's has.
_STRETCH = 100


@dataclass(frozen=True, eq=False)
class SampleTraces:
    """The P places of a sample's reference: its tokens [P], the K most probable ones [P, K], and
    their probabilities [P, K].
    """

    sample: str
    reference: NDArray[np.int64]
    tokens: NDArray[np.int64]
    probabilities: NDArray[np.float64]

    @property
    def ranks(self) -> NDArray[np.int64]:
        """The reference's rank at each place, from 1 on; 0 where it is none of the K."""
        hit = self.tokens == self.reference[:, None]
        return np.where(hit.any(axis=1), hit.argmax(axis=1) + 1, 0)


def traces_of(samples: Sequence[SampleTraces]) -> Traces:
    """All places together."""
    return Traces(
        np.concatenate([each.probabilities for each in samples]),
        np.concatenate([each.ranks for each in samples]),
        np.repeat(np.arange(len(samples)), [len(each.reference) for each in samples]),
    )


def read_again(paths: Sequence[Path]) -> Traces:
    """The places that trace files of the original's form hold, one file behind the other.

    They do not tell where an answer ends, so that intervals draw stretches of 100 places.

    Raises:
        TaskError: a line of another form, or with another number of probabilities; no line at all.
    """
    probabilities: list[NDArray[np.float64]] = []
    ranks: list[NDArray[np.int64]] = []
    width = 0
    for path in paths:
        lines = enumerate(read_traces(path), 1)
        while some := list(islice(lines, _AT_ONCE)):
            width = width or len(some[0][1].tokens)
            for number, each in some:
                if len(each.tokens) != width:
                    raise TaskError(
                        f"{path}: trace {number} has {len(each.tokens)} top_ids where the first "
                        f"has {width}; traces of one calibration have as many"
                    )
            probabilities.append(np.asarray([each.probabilities for _, each in some]))
            ranks.append(np.asarray([each.rank or 0 for _, each in some]))
    if not ranks:
        raise TaskError(f"{paths[0]}: holds no trace; nothing to calibrate on")
    together = np.concatenate(ranks)
    return Traces(np.concatenate(probabilities), together, np.arange(len(together)) // _STRETCH)


def write_traces(folder: Path, samples: Sequence[SampleTraces]) -> None:
    """The traces in the original's format, and as a table for what reads those."""
    with replace_file(folder / TRACES) as part, part.open("w", encoding="utf-8") as file:
        for each in samples:
            for own, tokens, probabilities in zip(
                each.reference.tolist(), each.tokens.tolist(), each.probabilities, strict=True
            ):
                shown = [f"{value:.{_DECIMALS}f}" for value in probabilities]
                line = {"gt": own, "top_ids": tokens, "top_probs": shown}
                file.write(json.dumps(line) + "\n")
    if find_spec("pyarrow") is not None:
        with replace_file(folder / "traces.parquet") as part:
            _write_parquet(part, samples)


def _write_parquet(path: Path, samples: Sequence[SampleTraces]) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    writer = None
    for each in samples:  # a row group per sample: memory does not grow with their number
        table = pa.table(
            {
                "sample": [each.sample] * len(each.reference),
                "place": list(range(len(each.reference))),
                "reference": each.reference,
                "rank": each.ranks,
                "tokens": list(each.tokens),
                "probabilities": list(each.probabilities),
            }
        )
        writer = writer or parquet.ParquetWriter(path, table.schema)
        writer.write_table(table)
    assert writer is not None, "a calibration has a sample"
    writer.close()


def grid_table(grid: CalibrationSums) -> str:
    """A row per bin and rank as CSV; empty where a bin is empty."""
    bounds = grid.observed_interval()
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(
        ["above", "to", "rank", "tokens", "observed", "low", "high", "predicted", "given_a_hit"]
    )
    bins, ranks = grid.observed.shape
    for bin_ in range(bins):
        for rank in range(ranks):
            numbers = (
                grid.observed[bin_, rank],
                *bounds[bin_, rank],
                grid.predicted[bin_, rank],
                grid.predicted_of_hits[bin_, rank],
            )
            rows.writerow(
                [
                    f"{bin_ / BINS:g}",
                    f"{(bin_ + 1) / BINS:g}",
                    rank + 1,
                    grid.support[bin_],
                    *("" if np.isnan(each) else f"{each:.6g}" for each in numbers),
                ]
            )
    return text.getvalue()


def read_samples(
    path: Path, references: Mapping[str, Sequence[int]]
) -> tuple[list[SampleTraces], list[str]]:
    """The traces of samples whose references these are, in their order, and what does not fit.

    Raises:
        TaskError: it is no file of traces, or holds another number of them.
    """
    lines = list(read_traces(path))
    places = sum(map(len, references.values()))
    if len(lines) != places:
        raise TaskError(
            f"{path}: holds {len(lines)} traces of references that have {places} tokens"
        )
    rows, found, problems = iter(lines), [], []
    for sample, reference in references.items():
        own = list(islice(rows, len(reference)))
        problems += [
            f"{sample}, token {place}: {each.reference} where the reference has {token}"
            for place, (each, token) in enumerate(zip(own, reference, strict=True))
            if each.reference != token
        ]
        found.append(
            SampleTraces(
                sample,
                np.asarray([each.reference for each in own]),
                np.asarray([each.tokens for each in own]),
                np.asarray([each.probabilities for each in own]),
            )
        )
    return found, problems


def result(
    grid: CalibrationSums, thresholds: Sequence[float], about: dict[str, Any]
) -> dict[str, Any]:
    """What follows from a grid, as JSON; a fit is null where too few cells are filled."""
    error = grid.error()
    return {
        **about,
        "tokens": int(grid.support.sum()),
        "ece": {"value": error.value, "interval": error.interval},
        "dynamic_top_k": {f"{threshold:g}": grid.top_k(threshold) for threshold in thresholds},
        "fit": _fit(grid, weighted=False),
        "fit_weighted": _fit(grid, weighted=True),
    }


def _fit(grid: CalibrationSums, *, weighted: bool) -> dict[str, Any] | None:
    try:
        found: PowerLaw = grid.power_law("hits" if weighted else "none")
    except ValueError:
        return None
    return {**found._asdict(), "a10": found.a10}
