"""One table of options, and each caller's way of writing them."""

from __future__ import annotations

import argparse

import pytest

from harness import options
from harness.errors import OptionError

SPELLINGS = [
    (options.as_pytest, "--titrate-compare-fail 'x' is not a rule"),
    (options.as_titrate, "--compare-fail 'x' is not a rule"),
    (options.as_argument, "compare_fail='x' is not a rule"),
]


@pytest.mark.parametrize(("caller", "told"), SPELLINGS)
def test_an_error_names_the_option_as_the_caller_writes_it(caller, told):
    with options.spelling(caller):
        error = OptionError("compare_fail", "'x' is not a rule")
    assert str(error) == told
    assert (error.option, error.problem) == ("compare_fail", "'x' is not a rule")


def test_without_a_caller_options_are_those_of_pytest():
    with pytest.raises(ZeroDivisionError), options.spelling(options.as_titrate):
        raise ZeroDivisionError
    assert options.spelled("set", "task.limit=1") == "--titrate-set task.limit=1"
    assert options.spelled("unsafe_code") == "--titrate-unsafe-code"


def test_python_is_told_of_switches_and_lists_by_its_own_names():
    with options.spelling(options.as_argument):
        assert options.spelled("unsafe_code") == "unsafe_code=True"
        assert options.spelled("gate", "CLAIM") == "gates=CLAIM"
        assert options.spelled("plan") == "--titrate-plan"


def test_every_option_is_declared_to_both_parsers_alike(pytestconfig):
    parser = argparse.ArgumentParser()
    options.add_to_argparse(parser)
    own = vars(parser.parse_args([]))
    assert own.keys() == options.BY_NAME.keys()
    assert {name: default for name, default in own.items() if name != "select"} == {
        name: pytestconfig.getoption(f"titrate_{name}") for name in own if name != "select"
    }


def test_options_that_set_a_field_become_overrides():
    parser = argparse.ArgumentParser()
    options.add_to_argparse(parser, "set", "limit", "engine", limit="a quick look")
    given = parser.parse_args(["--set", "seed=1", "--engine", "vllm", "--limit", "3"])
    expected = ["seed=1", "--titrate-limit=3", "--titrate-engine=vllm"]
    assert options.overrides(vars(given)) == expected
    assert "a quick look" in parser.format_help()
