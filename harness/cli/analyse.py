"""`titrate analyse FILE.jsonl`: statistics of a model where an oracle spoke, or step by step."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.measure.oracle_answers import Occasion

#: Records that an interval takes: drawn again, a few of them say too little.
_FEWEST = 10


def declare(parser: argparse.ArgumentParser) -> None:
    """State the arguments of `titrate analyse`."""
    parser.add_argument(
        "file",
        type=Path,
        metavar="FILE",
        help="answers with an oracle's help (titrate export --format guided), or PRM800K's steps",
    )
    parser.add_argument(
        "--model",
        metavar="MODEL",
        help="who reads them (default: the base model that the file names)",
    )
    parser.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help="the records with their statistics"
    )
    parser.set_defaults(run=run)


def run(parsed: argparse.Namespace) -> int:
    """Read the answers, write their statistics, and print how well each tells what is wrong."""
    from harness.errors import RequestError, TaskError
    from harness.measure.oracle_answers import fault, is_guided, numbers_at, occasions_of
    from harness.tasks.data_files import read_records

    records = read_records(parsed.file, (), check=fault)
    if not records:
        raise TaskError(f"{parsed.file}: has no records")
    model = parsed.model or _model_of(parsed.file, records)
    from harness.engines import open_engine
    from harness.files.atomic import check_writable, write_file
    from harness.spec.experiment import EngineSettings

    if parsed.output is not None:
        check_writable(parsed.output.parent)  # before a model is loaded
    engine = open_engine(model, EngineSettings())
    try:
        occasions = occasions_of(records, engine.tokenizer)
        numbers = numbers_at(engine, occasions)
    except RequestError as error:
        raise TaskError(f"{parsed.file}: {error}") from error
    finally:
        engine.close()
    if parsed.output is not None:
        lines = _analysed(records, occasions, numbers)
        text = "".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in lines)
        write_file(parsed.output, text)
    what = "consultations" if is_guided(records[0]) else "steps"
    print(f"{len(occasions)} {what} of {len(records)} records, read by {model}")
    for line in _table(
        occasions, numbers, "wrong answers" if what != "steps" else "steps rated -1"
    ):
        print(line)
    return 0


def _model_of(file: Path, records: Sequence[Mapping[str, Any]]) -> str:
    from harness.errors import TaskError

    models = sorted({str(each["base_model_id"]) for each in records if "base_model_id" in each})
    if len(models) != 1:
        said = f"names {len(models)} of them" if models else "names none"
        raise TaskError(f"{file}: --model says who reads it; the file {said}")
    return models[0]


def _analysed(
    records: Sequence[Mapping[str, Any]],
    occasions: Sequence[Occasion],
    numbers: Sequence[Mapping[str, float]],
) -> list[dict[str, Any]]:
    """Each record with its statistics, below `analysis`."""
    found: list[list[dict[str, Any]]] = [[] for _ in records]
    right = [True] * len(records)
    for occasion, told in zip(occasions, numbers, strict=True):
        found[occasion.record].append({**occasion.told, **told})
        right[occasion.record] &= not occasion.bad
    lines = []
    for record, own, good in zip(records, found, right, strict=True):
        guided = "interleaved_outputs" in record
        said = record.get("analysis") or {}
        analysis = {**said, "cheats": own, "acc": said.get("acc", good)} if guided else own
        lines.append({**record, "analysis": analysis})
    return lines


def _table(
    occasions: Sequence[Occasion], numbers: Sequence[Mapping[str, float]], bad: str
) -> list[str]:
    """A line for each statistic: its mean, and how well it tells what is bad."""
    from harness.statistics.discrimination import Discrimination

    if not occasions:
        return []
    records = sorted({occasion.record for occasion in occasions})
    rows = {
        each: [at for at, occasion in enumerate(occasions) if occasion.record == each]
        for each in records
    }
    values = {
        name: [[numbers[at][name] for at in own] for own in rows.values()] for name in numbers[0]
    }
    enough = len(rows) >= _FEWEST
    told = Discrimination(values, [[occasions[at].bad for at in own] for own in rows.values()])
    lines = [f"{'':22}{'mean':>9}   area under the ROC curve for {bad}"]
    for name in values:
        mean = sum(each[name] for each in numbers) / len(numbers)
        area = told.area(name) if told.is_known else None
        shown = "-"
        if area is not None:
            shown = f"{area.value:.2f}"
            if enough and area.low is not None and area.high is not None:
                shown += f" [{area.low:.2f}, {area.high:.2f}]"
        lines.append(f"{name:22}{mean:9.3f}   {shown}")
    if not told.is_known:
        which = "all" if occasions[0].bad else "none"
        lines.append(f"no area: {which} are {bad}, and there is nothing to tell apart")
    return lines
