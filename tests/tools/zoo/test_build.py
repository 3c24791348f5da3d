import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from harness.sandbox import pool
from tools.zoo import build, building, recipes

ROOT = Path(__file__).parents[3]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(capsys, *arguments):
    assert build.main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    (line,) = err.splitlines()
    return line


def test_it_shows_its_progress_and_writes_a_member(here, capsys, monkeypatch):
    tiny = replace(recipes.BASE, name="tiny", steps=2, tokens_per_batch=300)
    monkeypatch.setitem(recipes.RECIPES, "tiny", tiny)
    monkeypatch.setattr(building, "accuracies", lambda *_: {})
    assert build.main(["tiny"]) == 0
    out, err = capsys.readouterr()
    assert out == "built tiny in tiny\n"
    assert json.loads((here / "tiny" / "card.json").read_text())["name"] == "tiny"
    assert "training tiny" in err
    assert "measuring" in err
    assert "2/2" in err


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_it_refuses_to_overwrite_before_it_trains(here, capsys, monkeypatch, kind):
    def train(*arguments):
        raise AssertionError("trained for nothing")

    monkeypatch.setattr(building, "train", train)
    target = here / "moe"
    if kind == "folder":
        target.mkdir()
        (target / "thesis.tex").write_text("")
    else:
        target.write_text("")
    for arguments in (["moe"], ["base", "--output", "moe"]):
        error = refused(capsys, *arguments)
        assert error.startswith("build.py: moe exists and is not an empty folder; ")


def test_an_unknown_member_is_one_line(here, capsys):
    assert "no recipe for cat; use one of moe, base, oracle" in refused(capsys, "cat")
    assert not (here / "cat").exists()


@pytest.mark.slow
def test_it_runs_as_a_script_from_anywhere(here):
    program = [sys.executable, ROOT / "tools" / "zoo" / "build.py", "cat"]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("build.py: the zoo has no recipe for cat; use one of moe, base")


def test_a_model_is_not_trained_where_it_cannot_be_measured(here, capsys, monkeypatch):
    monkeypatch.setattr(pool, "isolating", lambda: ())
    error = refused(capsys, "base")
    assert error.startswith("build.py: code that a model wrote cannot be isolated")
    assert not (here / "base").exists()
