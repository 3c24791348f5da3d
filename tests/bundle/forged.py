"""Bundles that somebody has changed: one mutation each, with or without new hashes behind it."""

from __future__ import annotations

import json
import random
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.bundle.archive import MANIFEST, entry_of
from harness.store.journal import encoded

RECORDS = "report/records.jsonl"
REPORT = "report/report.json"
SPEC = "small.yaml"


@dataclass
class Opened:
    """A bundle's files in memory."""

    manifest: dict[str, Any]
    files: dict[str, bytes]

    @classmethod
    def of(cls, path: Path) -> Opened:
        with zipfile.ZipFile(path) as archive:
            files = {name: archive.read(name) for name in archive.namelist()}
        return cls(json.loads(files.pop(MANIFEST)), files)

    def write(self, path: Path, *, hashed: bool) -> Path:
        """Pack the files; with `hashed` the manifest is made to fit what was changed."""
        manifest = dict(self.manifest)
        if hashed:
            manifest["files"] = {
                name: entry_of(content).model_dump() for name, content in self.files.items()
            }
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(MANIFEST, json.dumps(manifest))
            for name, content in self.files.items():
                archive.writestr(name, content)
        return path

    @property
    def records(self) -> list[Any]:
        """The lines of the records, the first of which says what they are."""
        lines = self.files[RECORDS].decode().splitlines()
        return [json.loads(line)["record"] for line in lines]

    @records.setter
    def records(self, records: list[Any]) -> None:
        self.files[RECORDS] = b"".join(map(encoded, records))

    @property
    def report(self) -> Any:
        return json.loads(self.files[REPORT])

    @report.setter
    def report(self, document: Any) -> None:
        self.files[REPORT] = json.dumps(document).encode()


def _draw(opened: Opened, chance: random.Random) -> tuple[list[Any], Any]:
    records = opened.records
    return records, chance.choice(chance.choice(records[1:])["draws"])


def token(opened: Opened, chance: random.Random) -> str:
    records, draw = _draw(opened, chance)
    tokens = draw["completion"]["tokens"]
    place = chance.randrange(max(1, len(tokens) - 1))
    tokens[place] = (tokens[place] + chance.randint(1, 200)) % 256
    opened.records = records
    return draw["sample"]


def text(opened: Opened, chance: random.Random) -> str:
    records, draw = _draw(opened, chance)
    draw["completion"]["text"] += "x"
    opened.records = records
    return draw["sample"]


def prompt(opened: Opened, chance: random.Random) -> str:
    records, draw = _draw(opened, chance)
    draw["prompt"] = draw["prompt"].replace("e", "E", 1)
    opened.records = records
    return draw["sample"]


def score(opened: Opened, chance: random.Random) -> str:
    records, draw = _draw(opened, chance)
    draw["score"][0] = not draw["score"][0]
    opened.records = records
    return draw["sample"]


def value(opened: Opened, chance: random.Random) -> str:
    records = opened.records
    result = chance.choice(records[1:])
    name = chance.choice(sorted(result["sample_metrics"]))
    sample = chance.choice(sorted(result["sample_metrics"][name]))
    result["sample_metrics"][name][sample] = 0.5
    opened.records = records
    return name


def dropped_sample(opened: Opened, chance: random.Random) -> str:
    records = opened.records
    result = chance.choice(records[1:])
    result["draws"].pop(chance.randrange(len(result["draws"])))
    opened.records = records
    return result["case"]["id"]


def swapped_draws(opened: Opened, chance: random.Random) -> str:
    records = opened.records
    result = chance.choice(records[1:])
    result["draws"].reverse()
    opened.records = records
    return result["case"]["id"]


def swapped_cases(opened: Opened, chance: random.Random) -> str:
    records = opened.records
    one, other = chance.sample(records[2:], 2)
    one["draws"], other["draws"] = other["draws"], one["draws"]
    one["sample_metrics"], other["sample_metrics"] = other["sample_metrics"], one["sample_metrics"]
    if one["draws"] == other["draws"]:
        return token(opened, chance)
    opened.records = records
    return "report"


def order(opened: Opened, chance: random.Random) -> str:
    records = opened.records
    one, other = chance.sample(range(2, len(records)), 2)
    records[one], records[other] = records[other], records[one]
    opened.records = records
    return "order"


def setting(opened: Opened, chance: random.Random) -> str:
    records = opened.records
    result = chance.choice(records[1:])
    result["case"]["experiment"]["seed"] += 1
    opened.records = records
    return "seed"


def spec(opened: Opened, chance: random.Random) -> str:
    written = opened.files[SPEC].decode()
    old, new = chance.choice([("seed: 3", "seed: 4"), ("max_new_tokens: 8", "max_new_tokens: 9")])
    opened.files[SPEC] = written.replace(old, new).encode()
    return old.split(":")[0]


def interval(opened: Opened, chance: random.Random) -> str:
    report = opened.report
    case = chance.choice(report["cases"])
    metric = chance.choice(sorted(case["metrics"]))
    case["metrics"][metric]["ci_high"] = 0.123
    opened.report = report
    return metric


def gate(opened: Opened, chance: random.Random) -> str:
    del chance
    report = opened.report
    report["gates"][0]["holds"] = not report["gates"][0]["holds"]
    opened.report = report
    return "gates"


def dose(opened: Opened, chance: random.Random) -> str:
    report = opened.report
    case = chance.choice([each for each in report["cases"] if each["dose"] is not None])
    case["dose"] += 1
    opened.report = report
    return "dose"


def cell(opened: Opened, chance: random.Random) -> str:
    rows = opened.files["report/cases.csv"].decode().splitlines()
    line = chance.randrange(1, len(rows))
    cells = rows[line].split(",")
    numbers = [place for place, each in enumerate(cells) if each.replace(".", "", 1).isdigit()]
    place = chance.choice(numbers)
    cells[place] = str(float(cells[place]) + 1)
    rows[line] = ",".join(cells)
    opened.files["report/cases.csv"] = ("\n".join(rows) + "\n").encode()
    return "cases.csv"


def point(opened: Opened, chance: random.Random) -> str:
    drawn = json.loads(opened.files["report/drawn.json"])
    axes = next(iter(drawn.values()))
    line = chance.choice([line for each in axes for line in each["lines"] if line["points"]])
    spot = chance.choice(line["points"])
    spot[1] = (spot[1] or 0) + 0.1
    opened.files["report/drawn.json"] = json.dumps(drawn).encode()
    return "drawn.json"


def run(opened: Opened, chance: random.Random) -> str:
    del chance
    opened.manifest["run"] = "20200101-000000-abcdef"
    return "run"


def missing_file(opened: Opened, chance: random.Random) -> str:
    name = chance.choice([each for each in opened.files if each.startswith("report/")])
    del opened.files[name]
    return name.rsplit("/", 1)[-1]


def removed_value(opened: Opened, chance: random.Random) -> str:
    """What follows is not stored at all any more."""
    report = opened.report
    case = chance.choice(report["cases"][1:])
    metric = chance.choice(sorted(case["metrics"]))
    within, name = chance.choice(
        [
            *(
                (report, name)
                for name in ("gates", "invariants", "unjudged", "doses", "predictors")
            ),
            *((case, name) for name in ("metrics", "versus_baseline", "intervention", "settings")),
            (case["metrics"], metric),
            (case["metrics"][metric], "ci_low"),
        ]
    )
    del within[name]
    opened.report = report
    return name


def removed_setting(opened: Opened, chance: random.Random) -> str:
    report = opened.report
    del chance.choice(report["cases"])["settings"]["sampling"]["max_new_tokens"]
    opened.report = report
    return "settings.sampling.max_new_tokens"


def removed_gate(opened: Opened, chance: random.Random) -> str:
    """Of the report and its records, as if the spec had none."""
    del chance
    records, report = opened.records, opened.report
    for record in records[1:]:
        record["case"]["experiment"]["gates"] = []
    report["gates"] = []
    opened.records, opened.report = records, report
    return "gates"


def file_without_a_trace(opened: Opened, chance: random.Random) -> str:
    """A file that the manifest does not list any more, either."""
    name = chance.choice([SPEC, "samples.json", "report/cases.csv", "report/drawn.json"])
    del opened.files[name]
    del opened.manifest["files"][name]
    return name


def unlisted_tokenizers(opened: Opened, chance: random.Random) -> str:
    del chance
    opened.manifest["tokenizers"] = {}
    return "tokenizer"


def dropped_case(opened: Opened, chance: random.Random) -> str:
    """A dose that nothing tells of but the spec."""
    records, report = opened.records, opened.report
    case = records.pop(chance.randrange(3, len(records)))["case"]["id"]
    report["cases"] = [each for each in report["cases"] if each["id"] != case]
    rows = opened.files["report/cases.csv"].decode().splitlines(keepends=True)
    opened.files["report/cases.csv"] = "".join(row for row in rows if case not in row).encode()
    opened.records, opened.report = records, report
    return f"{case}: case: stored it is missing"


def excused_case(opened: Opened, chance: random.Random) -> str:
    """The same, and a command line that is to have left it out, and would have left out all."""
    said = dropped_case(opened, chance)
    report = opened.report
    report["run"]["command"] = "pytest benches -k 'some and not others' -x --lf"
    opened.report = report
    return said


def masked_point(opened: Opened, chance: random.Random) -> str:
    """Another point of a random mask, in the records and the report."""
    records, report = opened.records, opened.report
    record = chance.choice(
        [each for each in records[1:] if (each["intervention"] or {}).get("points")]
    )
    point = chance.choice(record["intervention"]["points"])
    point[1] = next(n for n in range(99) if [point[0], n] not in record["intervention"]["points"])
    for case in report["cases"]:
        if case["id"] == record["case"]["id"]:
            case["intervention"] = record["intervention"]
    opened.records, opened.report = records, report
    return "intervention.points["


def emptied_log_probabilities(opened: Opened, chance: random.Random) -> str:
    del chance
    records = opened.records
    for record in records[1:]:
        for draw in record["draws"]:
            draw["completion"]["log_probabilities"] = []
    opened.records = records
    return "log-probabilities"


def log_probability(opened: Opened, chance: random.Random) -> str:
    """Nothing follows from it in this spec, so that only the model can tell."""
    records, draw = _draw(opened, chance)
    draw["completion"]["log_probabilities"][0] -= 1.0
    opened.records = records
    return RECORDS


Mutation = Callable[[Opened, random.Random], str]
#: What `verify` finds even where every hash was made to fit.
FOUND: tuple[Mutation, ...] = (
    token, text, prompt, score, value, dropped_sample, swapped_draws, swapped_cases, order, setting,
    spec, interval, gate, dose, cell, point, run, missing_file, removed_value, removed_setting,
    removed_gate, file_without_a_trace, unlisted_tokenizers, dropped_case, excused_case,
    masked_point, emptied_log_probabilities,
)  # fmt: skip
#: What only hashes tell, or the model.
HASHED: tuple[Mutation, ...] = (log_probability,)
