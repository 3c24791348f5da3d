"""A lonely turn has no company, and goes before those that come later."""

import threading
from concurrent.futures import ThreadPoolExecutor

from harness.sandbox.turns import Turns


def test_lonely_turns_are_lonely():
    turns, running, most = Turns(), [], []

    def shared(_):
        with turns.shared():
            running.append(1)
            most.append(len(running))
            running.pop()

    def alone(_):
        with turns.alone():
            assert not running
            running.append(1)
            assert len(running) == 1
            running.pop()

    with ThreadPoolExecutor(8) as threads:
        for done in [threads.submit(alone if n % 3 else shared, n) for n in range(300)]:
            done.result()
    assert most


def test_a_lonely_turn_waits_for_those_that_run_and_goes_before_those_that_come():
    turns, order = Turns(), []
    began, may_end = threading.Event(), threading.Event()

    def first():
        with turns.shared():
            began.set()
            may_end.wait()
            order.append("first")

    def lonely():
        with turns.alone():
            order.append("lonely")

    def late():
        with turns.shared():
            order.append("late")

    threads = [threading.Thread(target=work) for work in (first, lonely, late)]
    threads[0].start()
    began.wait()
    threads[1].start()
    while not turns._lonely:
        pass
    threads[2].start()
    may_end.set()
    for thread in threads:
        thread.join()
    assert order == ["first", "lonely", "late"]
