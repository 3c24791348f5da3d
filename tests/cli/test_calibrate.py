"""A calibration of traces that were made before is that of the run that wrote them."""

from __future__ import annotations

import json

import numpy as np
import pytest

from harness.cli.main import main
from harness.measure.calibration_files import SampleTraces, traces_of, write_traces
from harness.sampling import rules
from harness.spec import Experiment
from harness.statistics.calibration import grid

K = 6


@pytest.fixture(scope="module")
def samples():
    """Answers of 40 tokens whose r-th most probable token is right about as often as it says."""
    draw = np.random.default_rng(0)
    found = []
    for number in range(30):
        probabilities = np.sort(draw.dirichlet(np.full(K, 0.5), 40))[:, ::-1].round(8) * 0.98
        ranks = np.array([draw.choice(K + 1, p=[*row, 1 - row.sum()]) for row in probabilities])
        tokens = np.tile(np.arange(K), (40, 1))
        found.append(SampleTraces(f"s/{number}", ranks, tokens, probabilities))
    return found


@pytest.fixture
def traces(samples, tmp_path):
    write_traces(tmp_path, samples)
    return tmp_path / "traces.jsonl"


def test_a_rule_takes_the_fit_of_traces_over(traces, samples, tmp_path, capsys):
    spec = tmp_path / "spec.yaml"
    spec.write_text("{name: c, model: zoo/base, task: {name: micro_gsm8k, limit: 3}}")
    out = tmp_path / "out"
    assert main(["calibrate", str(traces), "--spec", str(spec), "-o", str(out)]) == 0
    assert "ln c = " in capsys.readouterr().out
    found = json.loads((out / "calibration.json").read_text())
    cells = grid(traces_of(samples))
    assert (found["tokens"], found["model"], len(found["asked"])) == (1200, "zoo/base", 3)
    assert found["fit"]["b"] == pytest.approx(cells.power_law().b, rel=1e-5)
    assert found["ece"]["value"] == pytest.approx(cells.error().value, abs=1e-6)
    assert found["dynamic_top_k"]["0.05"] == cells.top_k(0.05)
    low, high = found["fit"]["b_interval"]
    assert low < found["fit"]["b"] < high
    assert {each.name for each in out.iterdir()} == {
        "calibration.json",
        "calibration.pdf",
        "grid.csv",
    }
    plain = {"temperature": 1.0, "calibrated": {"from": str(out), "threshold": 0.1}}
    task = {"name": "micro_gsm8k"}
    given = {"name": "x", "model": "zoo/base", "task": task, "sampling": plain}
    value = Experiment.model_validate(given).sampling.rules["calibrated"]
    assert value.b == found["fit"]["b"]
    assert set(rules.get("calibrated").fitted_on(value)) == set(found["asked"])


def test_two_files_are_one_and_unknown_samples_are_told(traces, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["calibrate", str(traces), str(traces), "-o", str(out)]) == 0
    assert json.loads((out / "calibration.json").read_text())["tokens"] == 2400
    assert "is not known" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("", "holds no trace; nothing to calibrate on"),
        ('{"gt": 1, "top_ids": [1], "top_probs": ["2.0"]}', ":1 top_probs.0: "),
        (
            (
                '{"gt": 1, "top_ids": [1], "top_probs": ["0.5"]}\n'
                '{"gt": 1, "top_ids": [1, 2], "top_probs": ["0.5", "0.1"]}'
            ),
            "trace 2 has 2 top_ids where the first has 1",
        ),
        ('{"gt": 1, "top_ids": [1, 1], "top_probs": ["0.5", "0.1"]}', "are the same"),
    ],
)
def test_what_is_no_trace_is_told_in_a_line(line, told, tmp_path, capsys):
    file = tmp_path / "traces.jsonl"
    file.write_text(line)
    assert main(["calibrate", str(file), "-o", str(tmp_path / "out")]) == 2
    assert told in capsys.readouterr().err
