"""Ctrl-C typed at a terminal in the middle of a real run, and the same command once more."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.report.load import load_report
from tests.durability.project import SPEC, make_project

COMMAND = ("-m", "pytest", "benches", "-p", "no:cacheprovider", "--titrate-report=out")
LONG = SPEC.replace("limit: 3", "limit: 30").replace("max_new_tokens: 10", "max_new_tokens: 32")


@dataclass
class Terminal:
    """A process that leads a session of its own on a terminal of its own."""

    process: subprocess.Popen[bytes]
    keyboard: int
    text: str = ""

    @classmethod
    def of(cls, folder: Path) -> Terminal:
        ours, theirs = pty.openpty()
        # Whoever runs the tests in the background of a shell has it ignored, and children inherit.
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        process = subprocess.Popen(
            # As a shell does it: the terminal becomes the session's, and ^C reaches its group.
            ["setsid", "--ctty", "--wait", sys.executable, *COMMAND],
            cwd=folder,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200", "TERM": "xterm"},
        )
        signal.signal(signal.SIGINT, before)
        os.close(theirs)
        return cls(process, ours)

    def read(self) -> bool:
        """Take what was printed meanwhile; whether there may be more."""
        if not select.select([self.keyboard], [], [], 0.02)[0]:
            return self.process.poll() is None
        try:
            self.text += os.read(self.keyboard, 65536).decode("utf-8", "replace")
        except OSError:  # the last one that had it open is gone
            return False
        return True

    def ended(self) -> int:
        """Read to the end; returns the exit status."""
        while self.read():
            pass
        os.close(self.keyboard)
        return self.process.wait(60)


def stored(folder: Path) -> int:
    files = (folder / ".titrate" / "store").glob("*.jsonl")
    return sum(file.read_bytes().count(b'"kind":"completion"') for file in files)


@pytest.mark.slow
def test_ctrl_c_ends_in_one_line_and_the_same_command_goes_on(tmp_path):
    folder = make_project(tmp_path, LONG)
    interrupted = Terminal.of(folder)
    until = time.monotonic() + 300
    while stored(folder) < 5 and time.monotonic() < until:
        assert interrupted.read(), interrupted.text
    os.write(interrupted.keyboard, b"\x03")
    assert interrupted.ended() == pytest.ExitCode.INTERRUPTED, interrupted.text
    made = stored(folder)
    (line,) = re.findall(r"titrate: interrupted; .*", interrupted.text)
    assert "; report: out; the same command goes on: " in line
    assert "Traceback" not in interrupted.text
    report = load_report(folder / "out")
    assert "incomplete" in {case.status for case in report.cases}
    again = Terminal.of(folder)
    assert again.ended() == 0, again.text
    asked, found = re.findall(r"([\d,]+) requests \(([\d,]+) stored\)", again.text)[-1]
    assert (int(found), stored(folder)) == (made, int(asked))
    assert {case.status for case in load_report(folder / "out").cases} == {"complete"}
