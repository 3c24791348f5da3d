"""A process of vLLM that is killed ends the run in one line; an interrupt ends a start at once."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from harness.engines.vllm.deaths import cause_of_end, interruptible

_ROOT = Path(__file__).parents[3]


def _printed(program: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, Path(__file__).with_name(program)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(_ROOT), "OMP_NUM_THREADS": "1"},
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.splitlines()


def test_a_killed_process_is_told_of(vllm_installed):
    """In a program of its own, in the middle of generating; then again, before and while asking."""
    assert _printed("killed.py")[-2:] == [
        "generate: vLLM's process ended in the middle of the work",
        "forward: vLLM's process ended in the middle of the work",
    ]


def test_a_start_that_is_interrupted_or_killed_is_over_at_once(vllm_installed):
    interrupted, killed = _printed("ended_at_start.py")[-2:]
    assert interrupted == "interrupted, 0 processes left"
    # Whether vLLM has seen the exit status by then is a matter of moments.
    assert re.match(r"model 'zoo/moe' cannot be started in vLLM: its process .*was killed", killed)
    assert "while it started; if memory is short, lower engine.slots" in killed


def _sleeper() -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])


def _interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def _start_and_swallow() -> None:
    with interruptible():
        own = _sleeper()
        with suppress(BaseException):  # as a destructor does, or an import
            _interrupt()
        with suppress(KeyboardInterrupt):  # it comes again
            threading.Event().wait()
        assert own.poll() == -signal.SIGKILL


def _start_and_fail() -> None:
    with interruptible():
        with suppress(KeyboardInterrupt):
            _interrupt()
        raise RuntimeError("Engine core initialization failed")


def test_an_interrupt_ends_what_was_started_and_is_not_lost_where_it_is_swallowed():
    before = signal.getsignal(signal.SIGINT)
    earlier = _sleeper()
    try:
        with pytest.raises(KeyboardInterrupt):
            _start_and_swallow()
        assert earlier.poll() is None
    finally:
        earlier.kill()
        earlier.wait()
    assert signal.getsignal(signal.SIGINT) is before


def test_an_interrupt_is_told_and_not_what_failed_of_it():
    with pytest.raises(KeyboardInterrupt):
        _start_and_fail()


def test_without_an_interrupt_errors_are_what_they_are():
    with pytest.raises(RuntimeError, match="of its own"), interruptible():
        raise RuntimeError("of its own")


def test_where_nobody_can_be_interrupted_nothing_is_changed(monkeypatch):
    seen = []

    def run():
        with interruptible():
            seen.append(signal.getsignal(signal.SIGINT))

    before = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        run()
    finally:
        signal.signal(signal.SIGINT, before)
    assert seen == [before, signal.SIG_IGN]


_CORE = "Engine core initialization failed. See root cause above. Failed core proc(s): {}"

_WORKER = "WorkerProc initialization failed. See stack trace for root cause."


@pytest.mark.parametrize(
    ("message", "cause"),
    [
        (_CORE.format("{'EngineCore_DP0': -9}"), "its process was killed (SIGKILL), by the system"),
        (_CORE.format("{'EngineCore_DP0': -11}"), "its process ended by SIGSEGV while it started;"),
        (_CORE.format("{'EngineCore_DP0': 3}"), "its process ended with exit status 3 while it"),
        (_CORE.format("{}"), "its process ended without a word, or was killed, while it started;"),
        (_WORKER, "its process ended without a word, or was killed, while it started;"),
    ],
)
def test_what_vllm_refers_to_and_nobody_printed_is_told(message, cause):
    found = cause_of_end(message)
    assert found is not None
    assert found.startswith(cause)


def test_a_cause_that_is_there_is_left_alone():
    assert cause_of_end("KeyError 'gate'") is None
