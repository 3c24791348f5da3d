"""What the script that measures a real model says of the bars of its table."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

PLACE = Path(__file__).parents[3] / "benches/speed/real.py"


def test_a_lane_is_held_to_what_is_asked_of_it(monkeypatch):
    spec = importlib.util.spec_from_file_location("speed_real", PLACE)
    real = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "speed_real", real)  # where its dataclasses look for types
    monkeypatch.setattr("os.environ", {})  # it sets variables of vLLM's
    spec.loader.exec_module(real)
    walls = {"generate": 3.0, "own": 1.2, "stock": 1.0, "own bf16": 1.0}
    told = ">= 2.6x of generate: 2.50x, missed; <= 1.1x of stock: 1.20x, missed"
    assert real.bars("own", walls) == told
    assert real.bars("own", walls | {"own": 1.05}).count("met") == 2
    assert real.bars("own bf16", walls) == real.bars("stock", walls) == ""
