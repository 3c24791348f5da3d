"""samples.jsonl and records.jsonl of a report, and what its page shows of them, case by case.

Nothing of the report is in them but the order of its cases: they are begun as soon as the results
are known, by a copy of this process, while this one makes the report. One case is in memory at a
time.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from tempfile import TemporaryFile
from types import TracebackType
from typing import IO, Any, NamedTuple, Self

from pydantic import JsonValue

from harness.engines.contract import Completion
from harness.errors import ReportError
from harness.files.atomic import replace_file
from harness.metrics.column import columns_of
from harness.processes.beside import Tickets, beside
from harness.report.load import RECORDS, SAMPLES
from harness.report.page.samples import Rows, SampleRows, row_case
from harness.store.records import draw_from, draw_shapes, record_line, record_lines
from harness.store.results import CaseResult, answer_of

#: Bytes that are copied at a time.
_PIECE = 2**20
#: In how many portions cases are shared out among two processes, at most.
_PORTIONS = 256
_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False)


class _Files(NamedTuple):
    """Where lines are written to."""

    records: IO[bytes]
    samples: IO[bytes]


class _Portion(NamedTuple):
    """What this process has written of some cases: where that begins in its files, and ends."""

    starts: tuple[int, ...]
    ends: tuple[int, ...]
    rows: Rows


class WrittenSamples:
    """The samples behind a report, on their way into its folder.

    A copy of this process begins when this is entered, and writes cases from the first one on; in
    `finish` this process does so, too, from the last one down, until they meet. Of what an error
    interrupts nothing is left.

    Args:
        results: Of the report's cases, in its order.
        folder: Of the report; made where it is missing.
        forked: Whether there may be a copy (`processes/beside.py`); without one nothing is written
            before `finish`.
    """

    def __init__(self, results: Sequence[CaseResult], folder: Path, *, forked: bool) -> None:
        self._results = results
        self._folder = folder
        self._forked = forked
        self._portion = max(1, -(-len(results) // _PORTIONS))

    def __enter__(self) -> Self:
        try:
            self._begin()
        except OSError as error:
            raise unwritable(self._folder, error) from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._left.__exit__(kind, error, trace)

    def finish(self) -> bool:
        """Write what is left; the files come to their places in `put`.

        Returns:
            Whether some sample has several draws, or numbers per token.
        """
        own, several = self._write_last() if self._forked else ([], False)
        rows, others = self._first()
        self.rows.put(rows)
        for portion in reversed(own):
            self.rows.put(portion.rows)
            for file, whole, start, end in zip(
                self._back, self._front, portion.starts, portion.ends, strict=True
            ):
                _copy(file, whole, start, end)
        for file in self._front:
            file.flush()
            _hurry(file)
        return several or others

    def put(self) -> None:
        """Put the files in place, when they are on the disk, to which they are on their way."""
        self._parts.close()

    def _begin(self) -> None:
        with ExitStack() as stack:
            made = not self._folder.exists()
            self._folder.mkdir(parents=True, exist_ok=True)
            if made:
                stack.callback(_remove_empty, self._folder)
            cases = [row_case(result) for result in self._results]
            self.rows = stack.enter_context(SampleRows(cases, self._folder))
            self._back = _Files(
                *(stack.enter_context(TemporaryFile(dir=self._folder)) for _ in range(2))
            )
            self._parts = stack.enter_context(ExitStack())
            self._front = _Files(self._part(RECORDS), self._part(SAMPLES))
            self._front.records.writelines(record_lines([]))  # what the file says of itself
            self._front.records.flush()
            self._tickets = Tickets(-(-len(self._results) // self._portion))
            stack.callback(self._tickets.close)
            self._first = stack.enter_context(beside(self._write_first, forked=self._forked))
            self._left = stack.pop_all()

    def _part(self, name: str) -> IO[bytes]:
        """A file that comes to its place when the parts are closed."""
        part = self._parts.enter_context(replace_file(self._folder / name))
        return self._parts.enter_context(part.open("wb"))

    def _write_first(self) -> tuple[Rows, bool]:
        """Cases from the first one on: rows of them, and whether there is more than one answer."""
        several = False
        for number in self._tickets.front():
            several |= self._write(number, self._front)
            for file in self._front:
                _hurry(file)
        return self.rows.taken(), several

    def _write_last(self) -> tuple[list[_Portion], bool]:
        """The same from the last one down."""
        written: list[_Portion] = []
        several = False
        ends: tuple[int, ...] = (0, 0)
        for number in self._tickets.back():
            several |= self._write(number, self._back)
            starts, ends = ends, tuple(file.tell() for file in self._back)
            written.append(_Portion(starts, ends, self.rows.taken()))
        return written, several

    def _write(self, number: int, files: _Files) -> bool:
        """The lines of one portion of the cases. Half a surrogate pair becomes a question mark."""
        several = False
        start = number * self._portion
        for result in self._results[start : start + self._portion]:
            files.records.write(record_line(result))
            for record in records([result]):
                files.samples.write(_line(record).encode("utf-8", "replace"))
                self.rows.add(record)
                several = several or record["draw"] > 0 or "traces" in record
        for file in files:
            file.flush()
        return several


def _copy(source: IO[bytes], target: IO[bytes], start: int, end: int) -> None:
    """Put a part of a file behind another one."""
    source.seek(start)
    target.seek(0, os.SEEK_END)  # where the copy of this process has come to
    while start < end:
        start += target.write(source.read(min(_PIECE, end - start)))


def _hurry(file: IO[bytes]) -> None:
    """Let the system begin to write to the disk what it would hold back for half a minute.

    Otherwise all of a large report waits for that at its end.
    """
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def unwritable(folder: Path, error: OSError) -> ReportError:
    """What to say of a folder that a report cannot be written to."""
    return ReportError(
        f"{folder}: cannot be written: {error.strerror or error}; choose another directory"
    )


def _remove_empty(folder: Path) -> None:
    with suppress(OSError):
        folder.rmdir()


def records(results: Sequence[CaseResult]) -> Iterator[dict[str, Any]]:
    """The lines of samples.jsonl before they are text: one per case, sample and draw.

    Only what was read for an answer with a name has `answer`, and only what has numbers per token
    `traces`, and `pieces`, each token's text by itself. Only where another model would have said
    something else from a token on there is `instead`, as `[token, text]`. Only samples of which
    another model was asked for text, such as a judge, have `told`: all that it said of the sample,
    by metric.
    """
    for result in results:
        metrics = by_sample(result)
        told = _told(result)
        asked = result.case.experiment.columns
        for draw in draw_shapes(result):
            made = draw["completion"]
            correct, parsed, detail, tool_call, *others = draw["score"]
            answer = others[1] if len(others) > 1 else None
            brought = made.get("traces", {})
            traces: dict[str, list[float]] = {}
            if asked or brought:
                whole = draw_from(draw, draw["agreement"])
                traces = columns_of(answer_of(whole), brought, asked)
            yield {
                "case": result.case.id,
                "sample": draw["sample"],
                "draw": draw["draw"],
                "prompt": draw["prompt"],
                "completion": made["text"],
                "tokens": len(made["tokens"]),
                "finish_reason": made["finish_reason"],
                "error": made["error"],
                "correct": correct,
                "parsed": parsed,
                "tool_call": tool_call,
                "detail": detail,
                "agreement": draw["agreement"],
                "metrics": metrics.get(draw["sample"], {}),
                **({} if answer is None else {"answer": answer}),
                **({"traces": traces} if traces else {}),
                **({"pieces": draw["pieces"]} if traces and draw.get("pieces") else {}),
                **({"instead": draw["instead"]} if draw.get("instead") else {}),
                **({"told": told[draw["sample"]]} if draw["sample"] in told else {}),
            }


def _told(result: CaseResult) -> dict[str, dict[str, list[str]]]:
    """Sample id -> metric -> what was answered to what the metric asked, in words."""
    found: dict[str, dict[str, list[str]]] = {}
    for metric, samples in result.replies.items():
        for sample, replies in samples.items():
            texts = [reply.text for reply in replies if isinstance(reply, Completion)]
            if texts:
                found.setdefault(sample, {})[metric] = texts
    return found


def _line(record: dict[str, Any]) -> str:
    return _ENCODER.encode(record) + "\n"


def by_sample(result: CaseResult) -> dict[str, dict[str, JsonValue]]:
    """Sample id -> metric -> value over all of its draws: what comparisons pair."""
    samples: dict[str, dict[str, JsonValue]] = {}
    for metric, values in result.sample_metrics.items():
        for sample, value in values.items():
            samples.setdefault(sample, {})[metric] = value
    return samples
