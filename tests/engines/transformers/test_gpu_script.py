"""The script that measures a GPU checks itself and fills its table, on a CPU with tiny shapes."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path

import pytest

_SPEC = importlib.util.spec_from_file_location(
    "gpu", Path(__file__).parents[3] / "benches/speed/gpu.py"
)
gpu = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(gpu)


@pytest.fixture(autouse=True)
def options(monkeypatch):
    given = "--shapes tiny,tiny-moe --rows 3 --prompt 5 --new-tokens 4 --device cpu"
    monkeypatch.setattr(sys, "argv", ["gpu.py", *given.split()])


def test_every_line_of_the_table_is_there(capsys, monkeypatch):
    monkeypatch.setattr(gpu, "find_spec", lambda _: None)  # of vLLM, whose start takes long
    gpu.main()
    told = capsys.readouterr().out.splitlines()
    lines = [line.split(" | ") for line in told if line.startswith("| tiny")]
    assert len(lines) == 2 * 2 * 3  # shapes, rules, numbers of conditions
    assert all(float(cell) > 0 for line in lines for cell in line[3:6])
    assert [line[4] for line in lines if line[2] == "1"] == ["1.00"] * 4


def test_rows_that_say_other_than_each_by_itself_are_told(monkeypatch):
    """The plain passes leave the vector out: the check must see what it does."""

    def unsteered(loaded, request):
        (term,) = request.intervention.terms
        none = request.intervention.model_copy(
            update={"terms": (term.model_copy(update={"alpha": 0.0}),)}
        )
        return plain(loaded, replace(request, intervention=none))

    plain = gpu.plain
    monkeypatch.setattr(gpu, "plain", unsteered)
    with pytest.raises(RuntimeError, match=r"tiny, greedy: requests .* differ on cpu"):
        gpu.main()
