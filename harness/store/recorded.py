"""Case results whose draws stay on disk: one case's are in memory while they are looked at.

A large run is reported from the records of its tasks. Of every draw a few numbers are kept, and
where it lies; its text and its tokens are read again when somebody asks for them, and go into
another file of records as the bytes that they are.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias, overload

from pydantic import ValidationError
from pydantic_core import from_json

from harness.errors import StoreError
from harness.store import record_shapes as shapes
from harness.store.journal import Line, line_at
from harness.store.record_shapes import ResultShape
from harness.store.records import CaseReader, draw_from, result_of
from harness.store.results import CaseResult, DrawLength, DrawResult, StoredDraws, agreed

_NONE = -1
_OPENING, _CLOSING = b',"draws":[', b'],"sample_metrics":{'


#: A record: its file, and the offset of its line.
RecordAt: TypeAlias = tuple[Path, int]


class RecordedDraws(StoredDraws):
    """The draws of a record at an offset of a file that nobody changes.

    Args:
        path: The file.
        offset: Where the record's line begins.
        names: Sample and draw of each.
        tokens: How many tokens each has.
        agreements: As `DrawResult.agreement`, -1 for None.
        traced: Names of the numbers per token that some of them have.
        as_recorded: Whether the record says the same agreements.
        reference: Where the record is of the baseline that agreements are told of, if known.
    """

    __slots__ = (
        "agreements",
        "as_recorded",
        "names",
        "offset",
        "path",
        "reference",
        "tokens",
        "traced",
    )

    def __init__(
        self,
        path: Path,
        offset: int,
        names: tuple[tuple[str, int], ...],
        tokens: array[int],
        agreements: array[int],
        traced: frozenset[str],
        *,
        as_recorded: bool = True,
        reference: RecordAt | None = None,
    ) -> None:
        self.path = path
        self.offset = offset
        self.names = names
        self.tokens = tokens
        self.agreements = agreements
        self.traced = traced
        self.as_recorded = as_recorded
        self.reference = reference

    @property
    def at(self) -> RecordAt:
        """Where the record is."""
        return self.path, self.offset

    @classmethod
    def of(cls, path: Path, offset: int, result: CaseResult) -> RecordedDraws:
        """Those of a result that has just been written there."""
        known = list(result.lengths)
        return cls(
            path,
            offset,
            tuple((each.sample, each.draw) for each in known),
            array("q", (each.tokens for each in known)),
            array("q", (_NONE if each.agreement is None else each.agreement for each in known)),
            result.traced,
        )

    def lengths(self) -> Iterator[DrawLength]:
        """As it says."""
        for (sample, draw), tokens, agreement in zip(
            self.names, self.tokens, self.agreements, strict=True
        ):
            yield DrawLength(sample, draw, tokens, None if agreement == _NONE else agreement)

    def shapes(self) -> Iterator[dict[str, Any]]:
        """As it says."""
        found: list[dict[str, Any]] = _parsed(_line(self.path, self.offset))["draws"]
        for draw, agreement in zip(found, self.agreements, strict=True):
            draw["agreement"] = None if agreement == _NONE else agreement
            yield draw

    def tokens_of_each(self) -> Iterator[Sequence[int]]:
        """As it says."""
        found: ResultShape = _parsed(_line(self.path, self.offset))
        return (draw["completion"]["tokens"] for draw in found["draws"])

    def is_compared_with(self, other: Sequence[DrawResult]) -> bool:
        """As it says."""
        return isinstance(other, RecordedDraws) and other.at == self.reference

    def agreeing(self, agreements: Sequence[int | None]) -> RecordedDraws:
        """The same draws with other agreements."""
        own = array("q", (_NONE if each is None else each for each in agreements))
        if own == self.agreements:
            return self
        return RecordedDraws(
            self.path, self.offset, self.names, self.tokens, own, self.traced, as_recorded=False
        )

    def recorded(self) -> bytes | None:
        """The draws as JSON, as they are recorded; None where that says other agreements."""
        return _draws_in(_line(self.path, self.offset)) if self.as_recorded else None

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[DrawResult]:
        return iter(self._whole())

    @overload
    def __getitem__(self, index: int) -> DrawResult: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[DrawResult]: ...
    def __getitem__(self, index: int | slice) -> DrawResult | Sequence[DrawResult]:
        return self._whole()[index]

    def _whole(self) -> tuple[DrawResult, ...]:
        place = self.path, self.offset, _identity(self.path)
        return _read(*place, self.agreements.tobytes())


class RecordReader(CaseReader):
    """Reads results from lines of records, and keeps once what they have in common.

    Args:
        baselines: Ids of cases that others are compared with. What is read after such a case is
            compared with it then and there, and need not be read again for that.
    """

    def __init__(self, baselines: Collection[str] = ()) -> None:
        super().__init__()
        self._names: dict[tuple[tuple[str, int], ...], tuple[tuple[str, int], ...]] = {}
        self._texts: dict[str, str] = {}
        self._baselines = baselines
        self._references: dict[str, tuple[RecordAt, dict[tuple[str, int], array[int]]]] = {}

    def result(self, path: Path, line: Line) -> CaseResult:
        """The result in a line; its draws are read again when they are looked at.

        Raises:
            ValueError: it holds anything else.
        """
        assert line.body is not None
        shape = _shape(line.body)
        draws = shape["draws"]
        names = tuple((self._one(draw["sample"]), draw["draw"]) for draw in draws)
        names = self._names.setdefault(names, names)
        tokens = [draw["completion"]["tokens"] for draw in draws]
        said = [draw["agreement"] for draw in draws]
        agreements, reference = said, None
        if shape["baseline"] in self._references:
            reference, expected = self._references[shape["baseline"]]
            agreements = [
                agreed(own, expected[name]) if name in expected else known
                for name, own, known in zip(names, tokens, said, strict=True)
            ]
        place = path, line.offset
        if shape["status"] == "complete" and shape["case"]["id"] in self._baselines:
            each = (array("q", own) for own in tokens)
            self._references[shape["case"]["id"]] = place, dict(zip(names, each, strict=True))
        stored = RecordedDraws(
            *place,
            names,
            array("q", map(len, tokens)),
            array("q", (_NONE if each is None else each for each in agreements)),
            frozenset(name for draw in draws for name in draw["completion"].get("traces", ())),
            as_recorded=agreements == said,
            reference=reference,
        )
        shape["sample_metrics"] = {
            metric: {self._one(sample): value for sample, value in values.items()}
            for metric, values in shape["sample_metrics"].items()
        }
        return result_of(shape, stored if draws else (), self)

    def _one(self, text: str) -> str:
        """One text for all that are equal."""
        return self._texts.setdefault(text, text)


def _shape(body: bytes) -> ResultShape:
    """The record in a line. Raises ValueError for anything else."""
    try:
        return shapes.RESULT.validate_json(body)
    except ValidationError:
        return shapes.RESULT.validate_python(_parsed(body))


def _parsed(body: bytes) -> Any:
    """JSON; raises ValueError for anything else."""
    try:
        return from_json(body)
    except ValueError:  # lone surrogates, which models do write, and Python's JSON reads
        try:
            return json.loads(body)
        except RecursionError as error:
            raise ValueError("nested too deeply") from error


#: A file as it is now: another one may lie there by then, that of another report of this process.
Identity: TypeAlias = tuple[int, int, int]


@lru_cache(maxsize=3)  # a case, its baseline, and the next one
def _read(path: Path, offset: int, file: Identity, agreements: bytes) -> tuple[DrawResult, ...]:
    own = array("q", agreements)
    return tuple(
        draw_from(draw, None if agreement == _NONE else agreement)
        # Its fields were checked when it was first read, and its sum says that it is the same.
        for draw, agreement in zip(_parsed(_body(path, offset, file))["draws"], own, strict=True)
    )


def _line(path: Path, offset: int) -> bytes:
    return _body(path, offset, _identity(path))


def _identity(path: Path) -> Identity:
    try:
        stat = path.stat()
    except OSError as error:
        raise _unreadable(path, error) from error
    return stat.st_ino, stat.st_mtime_ns, stat.st_size


@lru_cache(maxsize=1)  # the draws of a record are written, and looked at, one after the other
def _body(path: Path, offset: int, _file: Identity) -> bytes:
    try:
        body = line_at(path, offset).body
    except OSError as error:
        raise _unreadable(path, error) from error
    if body is None:
        raise StoreError(
            f"{path}: the record at byte {offset} was whole a moment ago; let nothing change the "
            "records while a report is made of them"
        )
    return body


def _unreadable(path: Path, error: OSError) -> StoreError:
    return StoreError(f"{path}: cannot be read: {error.strerror or error}")


def _draws_in(body: bytes) -> bytes | None:
    """The list of draws in a record; None where it cannot be cut out.

    What is left must be the whole of an object, so that it was cut at the object's own level.
    """
    start = body.find(_OPENING)
    end = body.find(_CLOSING, start)
    end = len(body) - 2 if end < 0 else end  # in reports they come last
    rest = body[:start] + body[end + 1 :]
    try:
        left = _parsed(rest)
    except ValueError:
        return None
    known: Mapping[str, object] = left if isinstance(left, dict) else {}
    cut = body[start + len(_OPENING) - 1 : end + 1]
    return cut if start > 0 and "case" in known and "draws" not in known else None
