from __future__ import annotations

import io
import os
import pty
import termios

import optuna
from optuna.trial import TrialState

from harness.search.line import SearchLine
from tests.screen import written


def study_of():
    """Three trials: one complete, one pruned, one failed."""
    study = optuna.create_study(direction="maximize")
    for state, value in (
        (TrialState.COMPLETE, 0.5),
        (TrialState.PRUNED, None),
        (TrialState.FAIL, None),
    ):
        study.tell(study.ask(), value, state)
    return study


def test_plain_lines_where_nothing_can_be_redrawn():
    line = SearchLine(io.StringIO(), 4)
    line.note("loading zoo/base")
    line.trials_done(study_of())
    assert line.stream.getvalue() == (
        "titrate: loading zoo/base\ntitrate: 3/4 trials, best 0.5 (trial 0), 1 pruned, 1 failed\n"
    )
    line.close()


def test_a_bar_where_it_can_be_redrawn():
    leader, follower = pty.openpty()
    termios.tcsetwinsize(follower, (40, 110))
    with os.fdopen(follower, "w") as stream:
        line = SearchLine(stream, 4)
        line.note("loading zoo/base")
        line.trials_done(study_of())
        line.close()
    said = written(leader)
    assert "titrate: loading zoo/base" in said
    assert "3/4, best 0.5 (trial 0)" in said
    assert "1 pruned, 1 failed" in said


def test_a_warning_stays_above_the_bar():
    master, slave = pty.openpty()
    with os.fdopen(slave, "w") as stream:
        line = SearchLine(stream, 4)
        line.note("loading zoo/base")
        line.warn("something is odd")
        line.trials_done(study_of())
        line.close()
        shown = os.read(master, 10_000).decode()
    os.close(master)
    assert "titrate: warning: something is odd\r\n" in shown
