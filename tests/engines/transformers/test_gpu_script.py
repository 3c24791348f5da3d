"""The script that measures a GPU checks itself and fills its table, on a CPU with tiny shapes."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[3] / "benches/speed/gpu.py"


def test_every_line_of_the_table_is_there(monkeypatch, capsys):
    options = "--shapes tiny,tiny-moe --rows 3 --prompt 5 --new-tokens 4 --device cpu"
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), *options.split()])
    runpy.run_path(str(SCRIPT), run_name="__main__")
    told = capsys.readouterr().out.splitlines()
    lines = [line.split(" | ") for line in told if line.startswith("| tiny")]
    assert len(lines) == 2 * 2 * 3  # shapes, rules, numbers of conditions
    assert all(float(line[3]) > 0 and float(line[4].replace(",", "")) > 0 for line in lines)
