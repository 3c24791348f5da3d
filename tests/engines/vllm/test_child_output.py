"""What processes print is passed on as it is, but for what tells of a failure to start."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.engines.vllm.child_output import ChildOutput, root_cause

_FAILS = "import sys; print('loading', flush=True); raise KeyError('gate')"


def _runs(code):
    subprocess.run([sys.executable, "-c", code], check=False)


def test_a_failure_is_kept_and_what_came_before_it_is_not(capfd):
    def failing(output):
        with output:
            _runs(_FAILS)
            raise ZeroDivisionError

    output = ChildOutput()
    with pytest.raises(ZeroDivisionError):
        failing(output)
    _runs("print('afterwards')")
    out, err = capfd.readouterr()
    assert (out, err) == ("afterwards\n", "loading\n")
    assert root_cause(output.kept) == ("KeyError", "'gate'")


def test_of_a_good_start_nothing_is_lost_and_nothing_out_of_order(capfd):
    printed = "one\rtwo\nx ERROR 11-21 y\nthree\nwithout an end"
    with ChildOutput() as output:
        _runs(f"print({printed!r}, end='')")
    assert output.kept == ""
    assert capfd.readouterr() == ("", printed)


def test_a_child_is_heard_for_the_rest_of_its_life(capfd):
    with ChildOutput():
        child = subprocess.Popen(["cat"], stdin=subprocess.PIPE)
    _, before = capfd.readouterr()
    child.communicate(b"Traceback (most recent call last):\nstill here\n")
    heard = before
    while "still here" not in heard:  # read by another thread
        heard += capfd.readouterr().err
    assert heard == "Traceback (most recent call last):\nstill here\n"


_WORKER = "(Worker_TP0 pid=21886) ERROR 11-21 18:22:41 [multiproc_executor.py:953] "
_FAILED = f"""\
{_WORKER}WorkerProc failed to start.
{_WORKER}Traceback (most recent call last):
{_WORKER}  File "/x/base_loader.py", line 88, in load_model
{_WORKER}    self.load_weights(model, model_config)
{_WORKER}harness.errors.ModelError: the size of a (128) is not that of b: 96
Process EngineCore:
Traceback (most recent call last):
  File "/x/core.py", line 1482, in run_engine_core
    raise e
Exception: WorkerProc initialization failed due to an exception in a background process.
"""


def test_the_root_cause_is_the_first_process_own():
    assert root_cause(_FAILED) == ("ModelError", "the size of a (128) is not that of b: 96")


def test_of_a_chain_the_last_exception_counts():
    text = """\
Traceback (most recent call last):
KeyError: 'gate'

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
ValueError: no such layer

Traceback (most recent call last):
OSError: something else, later
"""
    assert root_cause(text) == ("ValueError", "no such layer")


def test_an_assertion_without_words_is_a_cause_too():
    assert root_cause("Traceback (most recent call last):\n  x\nAssertionError\n") == (
        "AssertionError",
        "",
    )


@given(st.text())
def test_text_without_a_traceback_has_no_cause(text):
    assert root_cause(text) is None
