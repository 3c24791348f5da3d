"""Ctrl-C while something is written: the first one waits, the second one does not."""

from __future__ import annotations

import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness.processes.interrupts import held


def press():
    signal.raise_signal(signal.SIGINT)


def test_the_first_interrupt_waits_for_the_end():
    before = signal.getsignal(signal.SIGINT)
    with held() as late:
        press()
        written = True
    assert written
    assert late.interrupted
    assert signal.getsignal(signal.SIGINT) is before


def test_the_second_one_does_not():
    before = signal.getsignal(signal.SIGINT)

    def insist():
        with held():
            press()
            press()

    with pytest.raises(KeyboardInterrupt):
        insist()
    assert signal.getsignal(signal.SIGINT) is before


def test_without_one_nothing_has_happened_and_other_threads_are_told_of_none():
    with held() as late:
        pass
    assert not late.interrupted

    def elsewhere():
        assert threading.current_thread() is not threading.main_thread()
        with held() as late:
            return late.interrupted

    with ThreadPoolExecutor() as threads:
        assert threads.submit(elsewhere).result() is False
