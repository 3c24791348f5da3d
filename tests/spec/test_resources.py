"""What a task asks a cluster for: times and memory as sbatch reads them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import SpecError
from harness.spec import load
from harness.spec.resources import mebibytes_of, minutes_of

PLAIN = "name: plain\nmodel: zoo/moe\ntask: {name: micro_gsm8k}\nresources: {%s}\n"
LARGE, SIXTY = st.integers(0, 10_000), st.integers(0, 59)


@given(days=LARGE, hours=st.integers(0, 23), minutes=SIXTY, seconds=SIXTY)
def test_all_forms_of_a_time_agree(days, hours, minutes, seconds):
    total = (days * 24 + hours) * 60 + minutes
    if not total:
        return
    assert minutes_of(f"{days}-{hours}:{minutes}") == total
    assert minutes_of(f"{days}-{hours}:{minutes}:{seconds}") == total + -(-seconds // 60)
    assert minutes_of(f"{days * 24 + hours}:{minutes}:{seconds}") == total + -(-seconds // 60)
    assert minutes_of(str(total)) == minutes_of(f"{total}:0") == total


@pytest.mark.parametrize(
    ("written", "part"),
    [
        ("1-24", "24 hours"),
        ("1-99:99", "99 hours"),
        ("1-23:60", "60 minutes"),
        ("0-1:00:75", "75 seconds"),
        ("2:90:00", "90 minutes"),
        ("2:00:60", "60 seconds"),
        ("90:99", "99 seconds"),
    ],
)
def test_a_part_of_a_time_that_is_too_much_for_its_place_is_named(written, part):
    with pytest.raises(ValueError, match=f"'{written}' has {part} behind a larger unit; use at "):
        minutes_of(written)


def test_amounts_of_memory_are_in_powers_of_1024():
    assert [mebibytes_of(each) for each in ("1.5G", "500M", "2T", "1K")] == [1536, 500, 2 << 20, 1]


@pytest.mark.parametrize(
    ("written", "told"),
    [
        (
            "time: 2:00:00",
            "resources.time: '7200 unquoted' is not a time limit; write it in quotes, ",
        ),
        ("time: soon", "resources.time: 'soon' is not a time limit; write it in quotes, as sbatch"),
        ("memory: 16", "resources.memory: 16 is not accepted"),
        ("memory: 16GB", "resources.memory: '16GB' is not an amount of memory; write it as 16G or"),
        ("partition: a b", "resources.partition: 'a b' is not accepted"),
        ("nodes: 2", "resources.nodes: unknown key"),
    ],
)
def test_what_sbatch_would_not_take_is_refused_in_one_line(written, told, tmp_path):
    file = tmp_path / "plain.yaml"
    file.write_text(PLAIN % written)
    with pytest.raises(SpecError) as refused:
        load(file)
    assert told in str(refused.value)
    assert "\n" not in str(refused.value)
