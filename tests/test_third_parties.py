"""What others bring is named by a spec, run, and in the report: installed, or in a conftest.py."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

MODULE = '''
from dataclasses import replace
from typing import Literal

from harness.engines.transformers.entry import ENGINE as OWN
from harness.metrics.column import TokenColumn
from harness.metrics.entry import MetricEntry, per_answer
from harness.metrics.kind import MetricKind
from harness.spec.metric import MetricSettings
from harness.tasks.answers.kind import AnswerKind, AnswerVerdict
from harness.tasks.base import Conversation, Reference


class Settings(MetricSettings):
    """Vowels."""

    kind: Literal["vowels"]
    """Which kind of metric this is: vowels, their number."""


def _made(settings):
    count = per_answer(lambda seen, answer: sum(each in "aeiou" for each in answer.text))
    return MetricEntry("vowels", "vowels", "higher", "count", value=count)


class Long(AnswerKind):
    """Any answer that is longer than the right one."""

    name = "long"
    metric = "longer"

    def reference(self, record):
        return Reference("", str(record["answer"]), "")

    def verdict(self, record, text):
        return AnswerVerdict(len(text) > len(str(record["answer"])), parsed=True)


class Brief:
    """How much is said of a completion."""

    rotations = 1
    level = "interval"

    def conversation(self, seen, answer, rotation):
        return Conversation(({"role": "user", "content": f"{seen.id}: {answer.text}"},))

    def value(self, text):
        return float(len(text))


METRIC = MetricKind("vowels", "vowels", Settings, _made)
ANSWER = Long()
JUDGE = Brief()
ENGINE = replace(OWN, name="twin")
COLUMN = TokenColumn("halves", "a half", value=lambda answer: [0.5] * len(answer.tokens))
'''
ENTRIES = {
    "metrics": ("vowels", "METRIC"),
    "answers": ("long", "ANSWER"),
    "judges": ("brief", "JUDGE"),
    "engines": ("twin", "ENGINE"),
    "columns": ("halves", "COLUMN"),
}
SPEC = """
name: theirs
model: zoo/moe
engine: {name: twin}
task: {path: asked.jsonl, answer: long}
sampling: {max_new_tokens: 6}
columns: [halves]
metrics: [vowels, {kind: judge, judge: brief, max_new_tokens: 6}]
gates: [longer >= 0.3]
"""


def installed(folder: Path) -> None:
    """As an installed package has them."""
    information = folder / "theirs-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    points = [f"[titrate.{sort}]\n{name} = theirs:{what}" for sort, (name, what) in ENTRIES.items()]
    (information / "entry_points.txt").write_text("\n".join(points))


def in_conftest(folder: Path) -> None:
    """As a project has them for itself."""
    lines = [
        f'registry.{sort}.register("{name}", "theirs:{what}")'
        for sort, (name, what) in ENTRIES.items()
    ]
    (folder / "conftest.py").write_text("\n".join(["from harness import registry", *lines]))


@pytest.mark.parametrize("bring", [pytest.param(installed, marks=pytest.mark.slow), in_conftest])
def test_metrics_answers_judges_engines_and_columns_of_others_are_run(tmp_path, bring):
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "theirs.py").write_text(MODULE)
    asked = [json.dumps({"prompt": f"What is 1+{at}?", "answer": 1 + at}) for at in range(8)]
    (tmp_path / "asked.jsonl").write_text("\n".join(asked))
    (tmp_path / "theirs.yaml").write_text(SPEC)
    bring(tmp_path)
    code = "import sys; from harness.cli.main import main; sys.exit(main(sys.argv[1:]))"
    ended = subprocess.run(
        [sys.executable, "-c", code, "run", "theirs.yaml", "--report", "out"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    written = json.loads((tmp_path / "out" / "report.json").read_text("utf-8"))
    (case,) = written["cases"]
    assert (case["status"], case["settings"]["engine"]["name"]) == ("complete", "twin")
    assert case["metric"] == "vowels"
    assert {"vowels", "judge", "longer"} <= set(case["metrics"])
    assert case["metrics"]["longer"]["value"] == 1
    assert [gate["holds"] for gate in written["gates"]] == [True]
    with (tmp_path / "out" / "samples.jsonl").open(encoding="utf-8") as lines:
        sample = json.loads(next(lines))
    assert set(sample["traces"]["halves"]) == {0.5}
