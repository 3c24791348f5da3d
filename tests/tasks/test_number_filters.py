"""The rewordings of the bench, on a slice of GSM8K: every right answer is read as right."""

import importlib.util
from decimal import Decimal
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
REAL = ROOT.parent / "shared/data/gsm8k_test.jsonl"
_SPEC = importlib.util.spec_from_file_location("number_filters", ROOT / "benches/number_filters.py")
number_filters = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(number_filters)

MADE = [("", "9 eggs are left, at 2 dollars each.\n#### 1,218"), ("", "3+4=<<3+4=7>>7\n#### 7")]


def test_no_rewording_changes_what_we_read():
    for style, found in number_filters.counts(MADE).items():
        assert found["ours"] == (len(MADE), 0), style


@pytest.mark.skipif(not REAL.is_file(), reason=f"the GSM8K test split is not at {REAL}")
def test_no_rewording_of_real_solutions_changes_what_we_read():
    records = number_filters.load(REAL)[::40]
    for style, found in number_filters.counts(records).items():
        assert found["ours"] == (len(records), 0), style


@pytest.mark.parametrize(
    ("text", "strict", "flexible"),
    [
        ("#### 18", True, True),
        ("#### 18.", True, True),
        ("It is $18.", False, True),
        ("It is 18.00", False, False),
        ("#### 18 in 2 steps of 10", True, False),
        ("none", False, False),
    ],
)
def test_the_filters_read_as_those_of_lm_eval(text, strict, flexible):
    assert number_filters.strict(text, "#### 18") is strict
    assert number_filters.flexible(text, "#### 18") is flexible
    assert number_filters.grouped(Decimal(1218), " ") == "1 218"
