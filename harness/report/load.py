"""Reports back from disk: every one is validated, and a broken one is a one-line error."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import ReportError
from harness.files.given import is_folder
from harness.report.report import RunReport
from harness.report.schema import report_of

if TYPE_CHECKING:
    import pandas as pd

#: The results behind a report, from which it can be made again (`store/records.py`).
RECORDS = "records.jsonl"
#: Every answer of every case, as people and other programs read them.
SAMPLES = "samples.jsonl"
#: What every line of samples.jsonl has, as text.
_NEEDED = ("case", "sample", "prompt", "completion")


def load_report(path: Path | str) -> RunReport:
    """Read a report from its directory, or from the report.json itself.

    Raises:
        ReportError: the file is missing, no JSON, of another schema, or does not fit the schema.
    """
    file = _inside(path, "report.json")
    return report_of(_json(_text(file), str(file)), str(file))


def latest(folder: Path) -> Path:
    """The report below a folder whose run started last.

    Raises:
        ReportError: there is none.
    """
    found = [each.parent for each in folder.glob("*/report.json")]
    found += [each.parent for each in folder.glob("*/*/report.json")]
    readable = {}
    for each in found:
        with suppress(ReportError):  # one of another version is not what was just run
            readable[each] = load_report(each).run.started
    if not readable:
        raise ReportError(f"{folder}: holds no report; name its folder, or run a spec first")
    return max(readable, key=lambda each: (readable[each], str(each)))


def samples(path: Path | str) -> pd.DataFrame:
    """The samples of a report, one row per case, sample and draw, as `samples.jsonl` has them.

    Raises:
        ReportError: the file is missing, or a line of it is not JSON.
    """
    import pandas as pd

    return pd.DataFrame(sample_records(path))


def sample_records(path: Path | str) -> Iterator[dict[str, Any]]:
    """The lines of a report's `samples.jsonl`, one by one.

    Raises:
        ReportError: the file is missing, or a line of it is not JSON or not a sample's record.
    """
    file = _inside(path, SAMPLES)
    for number, line in enumerate(_lines(file), 1):
        if line:
            record = _json(line, f"{file}:{number}")
            for name in _NEEDED:
                if not isinstance(record, dict) or not isinstance(record.get(name), str):
                    raise ReportError(f"{file}:{number}: {name}: expected text; is it a report's?")
            yield record


def _lines(file: Path) -> Iterator[str]:
    """The lines of a file, one in memory at a time; a prompt may hold other line separators."""
    try:
        with file.open("rb") as opened:
            for line in opened:
                yield line.decode("utf-8").removesuffix("\n")
    except FileNotFoundError as error:
        raise ReportError(
            f"{file}: no such file; expected a report's directory or its report.json"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ReportError(f"{file}: cannot be read: {error}") from error


def _inside(path: Path | str, name: str) -> Path:
    given = Path(path)
    return given / name if is_folder(given) else given


def _text(file: Path) -> str:
    try:
        return file.read_bytes().decode("utf-8")
    except FileNotFoundError as error:
        raise ReportError(
            f"{file}: no such file; expected a report's directory or its report.json"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ReportError(f"{file}: cannot be read: {error}") from error


def _json(text: str, place: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise ReportError(f"{place}: not JSON (line {error.lineno}: {error.msg})") from error
