"""Small runs whose numbers come from files beside their reports, each in a bundle."""

from __future__ import annotations

from pathlib import Path

import harness
from harness.bundle.write import bundle
from harness.cli.main import main

SPECS = Path(__file__).parents[2] / "specs"
_RUBRIC = """\
---
version: 1
options: {good: 1, bad: 0}
answer: '(good|bad)'
---
{{ completion }}
{{ options | join(' or ') }}?
"""
_JUDGED = """\
name: judged
model: zoo/moe
task: {name: micro_humaneval, limit: 2}
metrics: [fluency, {kind: judge, rubric: rubric.md, max_new_tokens: 4}]
sampling: {max_new_tokens: 8}
"""
_SMALLER = {
    "calibration": ("decoding/calibration.yaml", ["task.limit=3"]),
    "forward": ("pairs/pairs_forward.yaml", ["task.limit=2"]),
    "valued": (
        "guided/guided_value.yaml",
        ["task.limit=3", "value_of_asking.hindsight=2", "sampling.max_new_tokens=24"],
    ),
    "diffing": (
        "diffing/cake.yaml",
        [
            "diff.samples=4",
            "diff.positions=4",
            "diff.candidates=5",
            "diff.judges=[{model: zoo/moe, rotations: 2, max_new_tokens: 4}]",
        ],
    ),
}
_SEARCH = {
    "search.trials": "2",
    "search.batch": "2",
    "search.chunk": "4",
    "search.splits": "{train: 16, validation: 8, test: 8}",
    "sampling.max_new_tokens": "8",
}


def bundled(name: str, folder: Path) -> Path:
    """Make a run in this folder, which is the current one, and its bundle."""
    target = folder / f"{name}.titrate"
    if name in _SMALLER:
        spec, smaller = _SMALLER[name]
        harness.run(
            SPECS / spec, directory=folder / name, overrides=smaller, store=folder / "store"
        )
    elif name == "searched":
        settings = [word for item in _SEARCH.items() for word in ("--set", "=".join(item))]
        file = str(SPECS / "steering" / "search.yaml")
        assert main(["search", file, *settings, "--report", str(folder / name)]) == 0
    else:
        (folder / "rubric.md").write_text(_RUBRIC)
        (folder / "judged.yaml").write_text(_JUDGED)
        harness.run("judged.yaml", directory=folder / name)
    bundle(folder / name, target)
    return target
