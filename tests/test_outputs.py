"""Verbs that write where they are told to make missing folders, and name what is in the way."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.cli.main import main
from harness.interventions.array import Array
from harness.interventions.vector_file import SteeringVectors, write_vectors

EXAMPLE = str(Path(__file__).parents[1] / "reports" / "example")
SPEC = str(Path(__file__).parents[1] / "specs" / "steering" / "caa_alpha.yaml")
VERBS = {
    "vectors export": (["vectors", "export", "v.safetensors", "-o"], "v.gguf"),
    "vectors import": (["vectors", "import", "v.safetensors", "-o"], "w.safetensors"),
    "vectors build": (
        ["vectors", "build", "--model", "zoo/moe", "--pairs", "styles", "-o"],
        "v.safetensors",
    ),
    "pairs build": (["pairs", "build", "--output"], "pairs.json"),
    "pairs align": (["pairs", "align", "pairs.json", "--output"], "tokens.json"),
    "pairs points": (["pairs", "points", "mask.json", "--output"], "points.json"),
    "export": (["export", EXAMPLE, "--format", "latex", "-o"], "table.tex"),
}


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    vector = Array([1.0, 0.0])
    write_vectors(SteeringVectors("block", {0: vector}, {}), tmp_path / "v.safetensors")
    (tmp_path / "pairs.json").write_text(
        json.dumps({"humaneval_0": {"assisted": "one", "agentic": "two"}})
    )
    (tmp_path / "mask.json").write_text(json.dumps([{"layer": 0, "router": 1}]))
    return tmp_path


@pytest.mark.parametrize("verb", sorted(VERBS.keys() - {"vectors build"}))
def test_missing_folders_are_made_and_the_place_is_told(here, capsys, verb):
    arguments, name = VERBS[verb]
    assert main([*arguments, f"new/deep/{name}"]) == 0
    assert (here / "new" / "deep" / name).is_file()
    assert f"new/deep/{name}" in capsys.readouterr().out


@pytest.mark.parametrize("verb", VERBS)
def test_a_file_in_the_way_is_one_line(here, capsys, verb):
    (here / "taken").touch()
    arguments, name = VERBS[verb]
    assert main([*arguments, f"taken/{name}"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"titrate: taken/{name}: cannot be written: ")
    assert line.endswith("; choose another output")


def test_probes_find_a_file_in_the_way_before_a_model_is_loaded(here, capsys):
    (here / "taken").touch()
    assert main(["probes", SPEC, "-o", "taken/probes"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line == (
        "titrate: taken/probes: cannot be written: Not a directory; choose another output"
    )
