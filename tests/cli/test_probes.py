"""`titrate probes`, as a user types it; and its hidden states in `titrate store`."""

from __future__ import annotations

import csv
import json

import pytest

from harness.cli.main import main
from harness.engines.declared import Declared
from tests.told import open_told

SPEC = """\
name: probed
model: zoo/base
task: {name: micro_gsm8k}
intervention: {kind: steering, vector: {pairs: answers, samples: 12}, layer: 0, alpha: 0}
"""


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "probed.yaml").write_text(SPEC)
    return tmp_path


def titrate(capsys, *arguments):
    try:
        status = main(list(arguments))
    except SystemExit as exit_:
        status = exit_.code
    out, err = capsys.readouterr()
    return status, out, err


def test_every_layer_is_probed_and_its_states_are_kept(here, capsys):
    command = ("probes", "probed.yaml", "-o", "out", "--folds", "3")
    status, out, _ = titrate(capsys, *command)
    assert status == 0
    assert out.splitlines()[0].split() == ["layer", "auc", "shuffled", "labels", "selectivity"]
    document = json.loads((here / "out" / "probes.json").read_text())
    assert [row["layer"] for row in document["layers"]] == [0, 1]
    assert (document["count"], document["pairs"]) == (12, "answers")
    for row in document["layers"]:
        assert 0 <= row["ci_low"] <= row["auc"] <= row["ci_high"] <= 1
        assert row["selectivity"] == pytest.approx(row["auc"] - row["control_auc"])
        assert row["control_below_chance"] == (row["control_auc"] < 0.5)
    marked = [row["control_below_chance"] for row in document["layers"]]
    assert [line.endswith(" *") for line in out.splitlines()[1:3]] == marked
    assert ("shuffled labels score below chance" in out) == any(marked)
    with (here / "out" / "probes.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 2
    assert (here / "out" / "probes.png").read_bytes().startswith(b"\x89PNG")

    status, out, _ = titrate(capsys, "store", "list")
    assert "hidden states of zoo/base: 2 layers, " in out
    status, out, _ = titrate(capsys, "store", "verify")
    assert (status, "3 records whole" in out) == (0, True)

    first, _ = sorted((here / ".titrate" / "store" / ".activations").iterdir())
    first.write_bytes(first.read_bytes()[:-8])
    status, out, _ = titrate(capsys, "store", "verify")
    assert status == 1
    assert f"{first.name}: cannot be read" in out
    status, out, _ = titrate(capsys, "store", "prune", "--damaged", "--yes")
    assert (status, first.exists()) == (0, False)
    status, out, _ = titrate(capsys, "store", "prune", "--model", "zoo/base", "--yes")
    assert list((here / ".titrate" / "store" / ".activations").iterdir()) == []


@pytest.mark.parametrize("site", ["block", "mlp"])
def test_the_engine_is_told_what_is_read_and_nothing_else(capsys, monkeypatch, site):
    opened = open_told(monkeypatch, "harness.engines.open_engine")
    change = ("--set", f"intervention.site={site}", "--set", "intervention.alpha=1")
    status, _, _ = titrate(capsys, "probes", "probed.yaml", "--folds", "3", *change)
    assert status == 0
    (engine,) = opened
    assert engine.declared == engine.asked
    assert engine.asked == Declared(read=frozenset({(0, site), (1, site)}))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            "intervention=null",
            "--set intervention=null: probes need the pairs of a steering",
        ),
        (
            "intervention.vector={file: x.safetensors}",
            "x.safetensors}: probes need the pairs of one vector, not others",
        ),
        ("intervention.vector.samples=4", "4 pairs for 5 folds; use more pairs, or fewer folds"),
        (
            "intervention.vector.pairs=styels",
            "vector.pairs=styels: styels is neither styles nor answers",
        ),
        ("model=zoo/bass", "--set model=zoo/bass: zoo/bass is not in the zoo"),
    ],
)
def test_wrong_input_is_one_line_before_a_model_is_loaded(capsys, monkeypatch, change, said):
    monkeypatch.setattr("harness.engines.open_engine", None)
    status, _, err = titrate(capsys, "probes", "probed.yaml", "--set", change)
    assert status == 2
    assert said in err.splitlines()[-1]
    assert err.splitlines()[-1].startswith("titrate: ")


def test_a_fold_alone_is_refused(capsys):
    status, _, err = titrate(capsys, "probes", "probed.yaml", "--folds", "1")
    assert (status, "1 is not a number of folds; use 2 or more" in err) == (2, True)
