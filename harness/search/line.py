"""A search on the terminal: how many trials are done, what the best one has; or plain lines."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TextIO

import optuna
from optuna.trial import TrialState
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from harness.resolve.progress import Counts
from harness.search.study import keeps_conditions


@dataclass
class SearchLine:
    """Shows the trials of a study as they end. A run's watcher, too: it shows the speed.

    `exposed` is entered around every write, so that a test runner can let go of the stream.
    """

    stream: TextIO
    trials: int = 0
    exposed: Callable[[], AbstractContextManager[None]] = nullcontext
    _bar: Progress | None = None
    _told: str = ""
    _speed: str = ""
    _done: int = 0

    def note(self, text: str) -> None:
        """Say what begins. On a terminal the next redraw replaces it."""
        with self.exposed():
            if self._redraws():
                self._redraw(text)
            else:
                self._say(text)

    def warn(self, text: str) -> None:
        """Say what stays on the screen, above the line."""
        self.close()
        with self.exposed():
            self._say(f"warning: {text}")

    def update(self, counts: Counts) -> None:
        """The speed, as requests are done."""
        self._speed = counts.speed
        with self.exposed():
            if self._redraws():
                self._redraw()

    def trials_done(self, study: optuna.Study) -> None:
        """Some trials have ended."""
        trials = study.get_trials(deepcopy=False)
        states = [trial.state for trial in trials]
        self._done = sum(state.is_finished() for state in states)
        pruned, failed = states.count(TrialState.PRUNED), states.count(TrialState.FAIL)
        parts = [f"{pruned} pruned"] * bool(pruned) + [f"{failed} failed"] * bool(failed)
        complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
        kept = [trial for trial in complete if keeps_conditions(trial)]
        if len(kept) < len(complete):
            parts.append(f"{len(complete) - len(kept)} beyond subject_to")
        if kept:
            best = study.best_trial
            parts.insert(0, f"best {best.value:.4g} (trial {best.number})")
        self._told = ", ".join(parts)
        with self.exposed():
            if self._redraws():
                self._redraw()
            else:
                self._say(f"{self._done}/{self.trials} trials, {self._told}")

    def close(self) -> None:
        """Remove the line."""
        if self._bar is not None:
            with self.exposed():
                self._bar.stop()
            self._bar = None

    def _redraws(self) -> bool:
        """Whether a line can be redrawn. Asked while exposed: captured streams are not screens."""
        return self.stream.isatty() and not Console(file=self.stream).is_dumb_terminal

    def _say(self, text: str) -> None:
        self.stream.write(f"titrate: {text}\n")
        self.stream.flush()

    def _redraw(self, text: str = "trials") -> None:
        told = ", ".join(filter(None, (f"{self._done}/{self.trials}", self._told, self._speed)))
        if self._bar is None:
            self._bar = _progress(self.stream)
            self._bar.add_task(f"titrate: {text}", told=told)
            self._bar.start()
        self._bar.update(
            self._bar.task_ids[0],
            description=f"titrate: {text}",
            completed=self._done,
            total=self.trials,
            told=told,
            refresh=True,
        )


def _progress(stream: TextIO) -> Progress:
    """A bar that is drawn when it is told to, in one line, and taken away in the end."""
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=None),
        TextColumn("{task.fields[told]},", markup=False),
        TimeRemainingColumn(compact=True),
        TextColumn("left"),
        console=Console(file=stream, force_terminal=True),
        auto_refresh=False,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
        expand=True,
    )
