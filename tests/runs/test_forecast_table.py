"""The table of a plan."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.runs.forecast import Forecast
from harness.runs.forecast_table import forecast_table

MOE = Forecast(
    model="zoo/moe",
    cases=14,
    asked=2624,
    requests=1640,
    stored=1600,
    loads=True,
    prompt_tokens=4000,
    at_most=3840,
    expected=920,
)


def rows(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


def test_every_number_is_shown():
    text = forecast_table([MOE], width=100)
    numbers = ["14", "1,640", "984", "1,600", "40", "4,000", "3,840", "920"]
    assert ["zoo/moe", *numbers] in rows(text)
    assert "1 model load; nothing was run." in text
    assert all(len(line) <= 100 and line == line.rstrip() for line in text.splitlines())


def test_what_is_not_known_is_said():
    fresh = replace(
        MOE, stored=0, expected=None, unmeasured=("mean vector of styles",), unknown=1500
    )
    text = forecast_table([fresh, replace(MOE, model="./" + "long/" * 30, loads=False)])
    assert rows(text)[2][-1] == "-"
    said = " ".join(text.split())
    assert "zoo/moe: mean vector of styles: measured first; until then it is not known" in said
    assert "whether 1,500 requests are stored" in said
    assert "1 model load; nothing was run." in text


def test_what_cannot_be_run_is_said():
    text = forecast_table([replace(MOE, impossible=("small[x]: no tools today",))])
    assert "small[x]: no tools today" in text


@pytest.mark.parametrize("width", [60, 80, 100, 120])
def test_a_plan_fits_the_terminal(width):
    lines = forecast_table([MOE, replace(MOE, model="./" + "long/" * 30)], width=width).splitlines()
    assert max(map(len, lines)) <= width
    row = next(line.split() for line in lines if line.startswith("zoo/moe"))
    numbers = ["14", "1,640", "984", "1,600", "40", "4,000", "3,840", "920"]
    assert row[1:] == [each for each in numbers if each in row]
    told = " ".join(lines)
    assert ("not shown for want of room: doubles" in told) == ("984" not in row)
    assert ("doubles: what cases ask" in told) == ("984" in row)


def test_a_plan_of_nothing_that_can_run_says_so():
    assert forecast_table([]) == "no case can run here; nothing was run."
