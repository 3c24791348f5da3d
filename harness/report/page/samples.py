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
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from harness.engines.contract import Numbers
from harness.report.report import CaseReport

#: Characters of text after which a chunk is closed: unpacked in a few milliseconds.
_CHUNK = 1_000_000
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
_TEXTS = frozenset({"prompt", "completion", "finish_reason", "error", "detail"})


class Embedded(NamedTuple):
    """What a page carries: one index per experiment, and the chunks they point into."""

    indexes: dict[str, str]
    chunks: list[str]
    columns: list[str]
    """Names of the numbers per token that some completion has."""


@dataclass(frozen=True, slots=True)
class _Draw:
    case: int
    row: tuple[Any, ...]
    """The record's values in the order of `ROW`."""
    metrics: Mapping[str, float]
    """The metrics of the draw's sample; none in reports of earlier versions."""


def embed(
    cases: Sequence[CaseReport], records: Iterable[Mapping[str, Any]], most: int = _MOST
) -> Embedded:
    """Pack the records of samples.jsonl.

    Args:
        cases: The report's cases, in its order. Records of other cases are left out.
        records: One per case, sample and draw, in any order.
        most: Bytes of compressed texts to stay below. Samples beyond are in the index only.
    """
    positions = {case.id: position for position, case in enumerate(cases)}
    experiments: dict[str, dict[str, list[_Draw]]] = {}
    columns: dict[str, None] = {}
    for record in records:
        position = positions.get(record["case"])
        if position is not None:
            samples = experiments.setdefault(cases[position].experiment, {})
            traces = record.get("traces") or {}
            columns |= dict.fromkeys(traces)
            if traces:
                held = {name: Numbers(values) for name, values in traces.items()}
                record = {**record, "traces": held}
            row = tuple(record.get(name) for name in ROW)
            numbers = _numbers(cases[position], record.get("metrics") or {})
            samples.setdefault(str(record["sample"]), []).append(_Draw(position, row, numbers))
    chunks: list[str] = []
    indexes = {}
    size = 0
    for name, samples in experiments.items():
        places: dict[str, int | None] = dict.fromkeys(samples)
        for members in _portions(samples):
            packed = _packed(_chunk({sample: samples[sample] for sample in members}))
            size += len(packed)
            if size <= most:
                places |= dict.fromkeys(members, len(chunks))
                chunks.append(packed)
        indexes[name] = _packed(_index(cases, samples, places))
    return Embedded(indexes, chunks, list(columns))


def _numbers(case: CaseReport, metrics: Mapping[str, Any]) -> dict[str, float]:
    """The metrics of a sample alone, as numbers that a page can show."""
    found: dict[str, float] = {}
    for name, value in metrics.items():
        number = value if isinstance(value, int | float) else case.kind(name).of([value])
        found[name] = float(f"{number:.6g}")
    return found


def _portions(samples: Mapping[str, Sequence[_Draw]]) -> Iterator[list[str]]:
    """Consecutive samples with about `_CHUNK` characters of completions and numbers per token."""
    at, traced = ROW.index("completion"), ROW.index("traces")
    members: list[str] = []
    size = 0
    for sample, draws in samples.items():
        members.append(sample)
        size += sum(len(draw.row[at] or "") for draw in draws)
        numbers = sum(len(each) for draw in draws for each in (draw.row[traced] or {}).values())
        size += _DIGITS * numbers
        if size >= _CHUNK:
            yield members
            members, size = [], 0
    if members:
        yield members


def _chunk(samples: Mapping[str, Sequence[_Draw]]) -> dict[str, Any]:
    texts: dict[str, int] = {}
    stored: dict[str, dict[int, list[list[Any]]]] = {}
    for sample, draws in samples.items():
        by_case = stored.setdefault(sample, {})
        for draw in draws:
            row = [
                texts.setdefault(value, len(texts))
                if name in _TEXTS and value is not None
                else value
                for name, value in zip(ROW, draw.row, strict=True)
            ]
            by_case.setdefault(draw.case, []).append(row)
    return {"texts": list(texts), "samples": stored}


def _index(
    cases: Sequence[CaseReport],
    samples: Mapping[str, Sequence[_Draw]],
    places: Mapping[str, int | None],
) -> dict[str, Any]:
    """Per case and sample: its value; how many draws there are, left the baseline, are unread."""
    tokens, correct, parsed, agreement, draw_number = (
        ROW.index(name) for name in ("tokens", "correct", "parsed", "agreement", "draw")
    )
    positions = {case.id: position for position, case in enumerate(cases)}
    baseline = [positions.get(case.baseline or "") for case in cases]
    table: dict[int, dict[str, Any]] = {}
    measured: dict[int, dict[str, list[float | None]]] = {}
    for column, draws in enumerate(samples.values()):
        right: dict[int, int] = {}
        lengths = {(draw.case, draw.row[draw_number]): draw.row[tokens] for draw in draws}
        for draw in draws:
            row = draw.row
            counts = table.setdefault(
                draw.case,
                {name: [0] * len(samples) for name in ("draws", "value", "parted", "unread")},
            )
            counts["draws"][column] += 1
            right[draw.case] = right.get(draw.case, 0) + bool(row[correct])
            share = right[draw.case] / counts["draws"][column]
            primary = cases[draw.case].metric
            counts["value"][column] = draw.metrics.get(primary) if draw.metrics else share
            own = measured.setdefault(draw.case, {})
            for name, value in draw.metrics.items():
                own.setdefault(name, [None] * len(samples))[column] = value
            counts["unread"][column] += not row[parsed]
            # Equal to the baseline's token for token: they agree over the whole length of both.
            base = baseline[draw.case]
            theirs = None if base is None else lengths.get((base, row[draw_number]))
            same = row[agreement] == row[tokens] == theirs
            counts["parted"][column] += row[agreement] is not None and not same
    return {
        "samples": list(samples),
        "chunks": [places[sample] for sample in samples],
        "cases": {
            case: {**counts, "metrics": measured.get(case, {})} for case, counts in table.items()
        },
    }


def _packed(document: Mapping[str, Any]) -> str:
    """ASCII JSON, in which any text survives, as base64 of gzip; the same for the same content."""
    text = json.dumps(document, separators=(",", ":"), default=list)
    return b64encode(gzip.compress(text.encode("ascii"), 6, mtime=0)).decode("ascii")
