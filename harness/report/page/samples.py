"""Samples inside a page: compressed in chunks that the browser unpacks when one is looked at.

A chunk holds the completions of a few samples over all cases of an experiment, because that is what
is read side by side. Texts are stored once per chunk: the cases of a sweep share their prompts, and
many of their completions. An index per experiment, loaded first, tells which samples broke.

- A chunk, as JSON: `{"texts": [str], "samples": {id: {case: [row]}}}`, a row being `ROW`.
- An index, as JSON: `{"samples": [id], "chunks": [int | null], "cases": {case: {"draws": [int],
  "value": [number], "parted": [int], "unread": [int], "metrics": {name: [number | null]}}}}`, every
  list in the order of `samples`. `value` is the primary metric, or the share of right draws in
  reports that do not say it, and null where the metric failed.

Cases are their positions in the report. On the page both are gzip in base64.
"""

from __future__ import annotations

import gzip
import json
import marshal
import os
from array import array
from base64 import b64encode
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache, partial
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any, NamedTuple, Protocol, Self, overload

from harness.metrics.entry import MetricEntry
from harness.processes.beside import shared
from harness.store.results import CaseResult

#: Characters of text after which a chunk is closed: unpacked in a few milliseconds.
_CHUNK = 1_000_000
#: Characters of text that wait in memory, so that rows of one sample come to disk together.
_WAITING = 8_000_000
#: Of a number per token, which chunks hold as text.
_DIGITS = 18
#: Bytes of compressed samples that a page carries at most; browsers open larger files reluctantly.
_MOST = 192 * 2**20
#: What a record says of a completion, in the order of a row; texts are positions in `texts`.
ROW = (
    "draw",
    "prompt",
    "completion",
    "tokens",
    "finish_reason",
    "error",
    "correct",
    "parsed",
    "detail",
    "agreement",
    "traces",
    "pieces",
    "instead",
)
_COMPLETION, _TRACES = ROW.index("completion"), ROW.index("traces")
_TEXTS = frozenset({"prompt", "completion", "finish_reason", "error", "detail"})


class Embedded(NamedTuple):
    """What a page carries: one index per experiment, and the chunks they point into."""

    indexes: dict[str, str]
    chunks: Sequence[str]
    columns: list[str]
    """Names of the numbers per token that some completion has."""


class RowsOf(Protocol):
    """What rows must know of their case; a `CaseReport` says it."""

    @property
    def id(self) -> str:
        """Of the case."""

    @property
    def experiment(self) -> str:
        """Its name."""

    @property
    def metric(self) -> str:
        """The primary one."""

    @property
    def baseline(self) -> str | None:
        """The id of the case that this one is compared with."""

    def kind(self, metric: str) -> MetricEntry:
        """What one of its metrics is."""


class RowCase(NamedTuple):
    """The same of a case that is not reported yet."""

    id: str
    experiment: str
    metric: str
    baseline: str | None
    kind: Callable[[str], MetricEntry]


def row_case(result: CaseResult) -> RowCase:
    """What rows must know of a result."""
    case = result.case
    return RowCase(case.id, case.experiment.name, result.metric, result.baseline, result.kind)


class Rows(NamedTuple):
    """Rows that a process has put on disk."""

    places: dict[str, dict[str, array[int]]]
    """Experiment -> sample -> the file, the beginning and the end of some, one behind another."""
    columns: dict[str, None]
    """Names of the numbers per token in them."""


class _Draw(NamedTuple):
    case: int
    row: tuple[Any, ...]
    """The record's values in the order of `ROW`."""
    metrics: Mapping[str, float]
    """The metrics of the draw's sample; none in reports of earlier versions."""


class Packed(NamedTuple):
    """An experiment: its chunks, each with its samples, file, place and length, and its index."""

    experiment: str
    samples: list[str]
    chunks: list[tuple[list[str], int, int, int]]
    cases: dict[int, dict[str, Any]]


class SampleRows:
    """The records of samples.jsonl on their way into a page: what it shows of each, on disk.

    They come case by case, and are read sample by sample. What is on disk is gone when it is left.

    Args:
        cases: The report's cases, in its order. Records of other cases are left out.
        folder: Where files without a name may lie meanwhile; the system's place for such files
            when left out.
    """

    def __init__(self, cases: Sequence[RowsOf], folder: Path | None = None) -> None:
        self._cases = cases
        self._positions = {case.id: position for position, case in enumerate(cases)}
        self._rows = Rows({}, {})
        self._waiting: defaultdict[tuple[str, str], list[_Draw]] = defaultdict(list)
        self._size = 0
        #: What this process writes, and what a copy of it does. They are closed when this is left.
        self._files = [TemporaryFile(dir=folder) for _ in range(2)]  # noqa: SIM115
        self._process = os.getpid()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._files:
            file.close()

    def add(self, record: Mapping[str, Any]) -> None:
        """Take in a record, in any order."""
        position = self._positions.get(record["case"])
        if position is None:
            return
        traces = record.get("traces")
        if traces:
            self._rows.columns.update(dict.fromkeys(traces))
            record = {**record, "traces": {name: list(each) for name, each in traces.items()}}
        case = self._cases[position]
        numbers = _numbers(case, record.get("metrics") or {})
        row = tuple(map(record.get, ROW))
        key = case.experiment, str(record["sample"])
        self._waiting[key].append(_Draw(position, row, numbers))
        self._size += len(record["prompt"] or "") + _length(row)
        if self._size >= _WAITING:
            self._write()

    def taken(self) -> Rows:
        """The rows that were added since this was asked last; they are left out until `put`."""
        self._write()
        found, self._rows = self._rows, Rows({}, {})
        return found

    def put(self, rows: Rows) -> None:
        """Put rows that were taken, here or in a copy of this process, behind those put before."""
        for experiment, samples in rows.places.items():
            known = self._rows.places.setdefault(experiment, {})
            for sample, own in samples.items():
                known.setdefault(sample, array("Q")).extend(own)
        self._rows.columns.update(rows.columns)

    @property
    def _own(self) -> int:
        """Which file is this process's."""
        return int(os.getpid() != self._process)

    def _write(self) -> None:
        """Put on disk what waits."""
        file = self._files[self._own]
        end = file.seek(0, os.SEEK_END)
        for (experiment, sample), rows in self._waiting.items():
            places = self._rows.places.setdefault(experiment, {}).setdefault(sample, array("Q"))
            start = end
            end += file.write(marshal.dumps([tuple(row) for row in rows]))
            places.extend((self._own, start, end))
        file.flush()
        self._waiting.clear()
        self._size = 0

    def packings(self) -> list[Callable[[], Packed]]:
        """The work of packing, which this process and a copy of it may share.

        Returns:
            For each experiment what packs it, once; `embedded` wants what that returns.
        """
        self._write()
        return [partial(self._pack, *each) for each in self._rows.places.items()]

    def embedded(
        self,
        packed: Iterable[Packed] | None = None,
        most: int = _MOST,
        *,
        forked: bool = False,
    ) -> Embedded:
        """What a page carries of them all.

        Args:
            packed: What `packings` have returned; they are done now when left out.
            most: Bytes of compressed texts to stay below. Samples beyond are in the index only.
            forked: Whether a copy of this process may pack some of the indexes.

        Returns:
            The same; its chunks can be read until this is left.
        """
        chunks = _Chunks()
        indexes: dict[str, Callable[[], str]] = {}
        size = 0
        for each in (job() for job in self.packings()) if packed is None else packed:
            known: dict[str, int | None] = dict.fromkeys(each.samples)
            for members, file, place, length in each.chunks:
                size += length
                if size <= most:
                    known |= dict.fromkeys(members, len(chunks))
                    chunks.add(self._files[file], place, length)
            index = {"samples": list(known), "chunks": list(known.values())}
            indexes[each.experiment] = partial(_packed, {**index, "cases": each.cases})
        texts = shared(list(indexes.values()), forked=forked)
        named = dict(zip(indexes, texts, strict=True))
        return Embedded(named, chunks, list(self._rows.columns))

    def _pack(self, experiment: str, samples: Mapping[str, array[int]]) -> Packed:
        """Pack an experiment, its chunks at the end of a file."""
        file = self._files[self._own]
        index = _Index(self._cases, list(samples))
        chunks = []
        for members in _portions(self._read(samples), index):
            text = _packed(_chunk(members)).encode("ascii")
            place = file.seek(0, os.SEEK_END)
            chunks.append((list(members), self._own, place, file.write(text)))
        file.flush()
        return Packed(experiment, list(samples), chunks, index.cases())

    def _read(self, samples: Mapping[str, array[int]]) -> Iterator[tuple[str, list[_Draw]]]:
        """Every sample with its draws."""
        for sample, places in samples.items():
            draws: list[_Draw] = []
            for file, start, end in zip(places[::3], places[1::3], places[2::3], strict=True):
                written = os.pread(self._files[file].fileno(), end - start, start)
                draws += map(_Draw._make, marshal.loads(written))  # noqa: S302 - written above
            yield sample, draws


class _Chunks(Sequence[str]):
    """Chunks at places of files, read one by one."""

    def __init__(self) -> None:
        self._places: list[tuple[IO[bytes], int, int]] = []

    def add(self, file: IO[bytes], place: int, length: int) -> None:
        """Say where one more is."""
        self._places.append((file, place, length))

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return [self[at] for at in range(*index.indices(len(self)))]
        file, place, length = self._places[index]
        file.seek(place)
        return file.read(length).decode("ascii")


def embed(
    cases: Sequence[RowsOf], records: Iterable[Mapping[str, Any]], most: int = _MOST
) -> Embedded:
    """Pack the records of samples.jsonl, one per case, sample and draw, as `SampleRows` does."""
    with SampleRows(cases) as rows:
        for record in records:
            rows.add(record)
        found = rows.embedded(most=most)
        return found._replace(chunks=list(found.chunks))


def _numbers(case: RowsOf, metrics: Mapping[str, Any]) -> dict[str, float]:
    """The metrics of a sample alone, as numbers that a page can show."""
    found: dict[str, float] = {}
    for name, value in metrics.items():
        number = value if isinstance(value, int | float) else case.kind(name).of([value])
        found[name] = _rounded(number)
    return found


@lru_cache(maxsize=4096)
def _rounded(number: float) -> float:
    return float(f"{number:.6g}")


def _length(row: tuple[Any, ...]) -> int:
    """About how many characters the completion of a row has, with its numbers per token."""
    text, traces = row[_COMPLETION], row[_TRACES]
    numbers = sum(map(len, traces.values())) if traces else 0
    return len(text or "") + _DIGITS * numbers


def _portions(
    samples: Iterable[tuple[str, list[_Draw]]], index: _Index
) -> Iterator[dict[str, list[_Draw]]]:
    """Consecutive samples with about `_CHUNK` characters, each of them told to the index.

    What counts is their completions and their numbers per token.
    """
    members: dict[str, list[_Draw]] = {}
    size = 0
    for sample, draws in samples:
        index.add(sample, draws)
        members[sample] = draws
        size += sum(_length(draw.row) for draw in draws)
        if size >= _CHUNK:
            yield members
            members, size = {}, 0
    if members:
        yield members


def _chunk(samples: Mapping[str, Sequence[_Draw]]) -> dict[str, Any]:
    texts: dict[str, int] = {}
    texts_at = [at for at, name in enumerate(ROW) if name in _TEXTS]
    stored: dict[str, dict[int, list[list[Any]]]] = {}
    for sample, draws in samples.items():
        by_case = stored.setdefault(sample, {})
        for draw in draws:
            row = list(draw.row)
            for at in texts_at:
                if row[at] is not None:
                    row[at] = texts.setdefault(row[at], len(texts))
            by_case.setdefault(draw.case, []).append(row)
    return {"texts": list(texts), "samples": stored}


class _Index:
    """Per case and sample: its value; how many draws there are, left the baseline, are unread."""

    def __init__(self, cases: Sequence[RowsOf], samples: Sequence[str]) -> None:
        self._cases = cases
        self._columns = {sample: column for column, sample in enumerate(samples)}
        positions = {case.id: position for position, case in enumerate(cases)}
        self._baseline = [positions.get(case.baseline or "") for case in cases]
        self._table: dict[int, dict[str, Any]] = {}
        self._measured: dict[int, dict[str, list[float | None]]] = {}

    def add(self, sample: str, draws: Sequence[_Draw]) -> None:
        """Take in all draws of a sample."""
        column, count = self._columns[sample], len(self._columns)
        tokens, correct, parsed, agreement, number = map(
            ROW.index, ("tokens", "correct", "parsed", "agreement", "draw")
        )
        right: dict[int, int] = {}
        lengths = {(draw.case, draw.row[number]): draw.row[tokens] for draw in draws}
        for case, row, metrics in draws:
            counts = self._table.get(case)
            if counts is None:
                names = ("draws", "value", "parted", "unread")
                counts = self._table[case] = {name: [0] * count for name in names}
            counts["draws"][column] += 1
            right[case] = right.get(case, 0) + bool(row[correct])
            share = right[case] / counts["draws"][column]
            primary = self._cases[case].metric
            counts["value"][column] = metrics.get(primary) if metrics else share
            own = self._measured.setdefault(case, {})
            for name, value in metrics.items():
                if name not in own:
                    own[name] = [None] * count
                own[name][column] = value
            counts["unread"][column] += not row[parsed]
            # Equal to the baseline's token for token: they agree over the whole length of both.
            base = self._baseline[case]
            theirs = None if base is None else lengths.get((base, row[number]))
            same = row[agreement] == row[tokens] == theirs
            counts["parted"][column] += row[agreement] is not None and not same

    def cases(self) -> dict[int, dict[str, Any]]:
        """What the index says of each case."""
        return {
            case: {**counts, "metrics": self._measured.get(case, {})}
            for case, counts in self._table.items()
        }


def _packed(document: Mapping[str, Any]) -> str:
    """ASCII JSON, in which any text survives, as base64 of gzip; the same for the same content."""
    text = json.dumps(document, separators=(",", ":"))
    return b64encode(gzip.compress(text.encode("ascii"), 6, mtime=0)).decode("ascii")
