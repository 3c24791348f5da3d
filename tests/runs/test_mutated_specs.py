"""Specs with mistakes in them are run, or refused in lines that name their place; nothing else."""

from __future__ import annotations

import re
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import pytest

from harness.errors import LONGEST_LINE, SpecError
from harness.models.reference import is_local
from harness.runs.checks import planned
from harness.search.setup import set_up
from harness.spec import expand, load
from tests.runs.spec_mutants import mutant

SPECS = Path(__file__).parents[2] / "specs"
FILES = sorted(
    path.relative_to(SPECS) for path in SPECS.rglob("*.yaml") if "data" not in path.parts
)
# A file that was extended may be elsewhere. A field may hold a colon and blanks: a misspelt key.
PLACED = re.compile(r"[^\s:]+:\d+( .+?)?: \S")
MANY = "... and "
#: Of processor time, for one mutant; the slowest of 20 000 took 3.
HANGS_S = 60


@pytest.fixture
def specs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(SPECS, tmp_path / "specs")
    monkeypatch.chdir(tmp_path)
    return Path("specs")


def test_mutated_specs_are_planned_or_refused(specs):
    check(specs, range(150))


@pytest.mark.slow
def test_many_mutated_specs_are_planned_or_refused(specs):
    check(specs, range(150, 2150))


def check(specs: Path, seeds: range) -> None:
    outcomes = {"planned": 0, "refused": 0}
    for seed in seeds:
        random = Random(seed)
        original = specs / random.choice(FILES)
        path = original.with_name("mutant.yaml")
        path.write_bytes(mutant(original.read_text("utf-8"), random))
        try:
            with limited(f"seed {seed}"):
                plan(path)
        except SpecError as error:
            outcomes["refused"] += 1
            for line in str(error).split("\n"):
                assert line.isprintable(), f"seed {seed}: {line!r}"
                assert len(line) <= LONGEST_LINE, f"seed {seed}: {line}"
                assert PLACED.match(line) or line.startswith(MANY), f"seed {seed}: {line}"
        except Exception as error:
            error.add_note(f"seed {seed}")
            raise
        else:
            outcomes["planned"] += 1
    # Both must be met with: mutants that are all broken at once would test little.
    assert min(outcomes.values()) > len(seeds) / 20, outcomes


def plan(path: Path) -> None:
    """What `titrate run` and `titrate search` do with a spec before a model's weights are read."""
    experiment, source = load(path)
    cases = expand(experiment, source)
    for case in (cases[0], cases[-1]):
        # What would be fetched from a hub is no part of what is tested.
        if not is_local(case.experiment.model) or case.experiment.task.name == "gsm8k":
            continue
        if experiment.search is None:
            planned(case)
        else:
            set_up(experiment, source, Path.cwd())


@contextmanager
def limited(what: str) -> Iterator[None]:
    """Raise where this takes more processor time than any spec may."""

    def stop(_signal: int, _frame: object) -> None:
        raise TimeoutError(f"{what}: more than {HANGS_S} s of processor time")

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, HANGS_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
