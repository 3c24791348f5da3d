"""A search on the terminal: how many trials are done, what the best one has; or plain lines."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Never, TextIO

import optuna
from optuna.trial import TrialState
from tqdm import tqdm

from harness.resolve.progress import Counts


@dataclass
class SearchLine:
    """Shows the trials of a study as they end. A run's watcher, too: it shows the speed.

    `exposed` is entered around every write, so that a test runner can let go of the stream.
    """

    stream: TextIO
    trials: int = 0
    exposed: Callable[[], AbstractContextManager[None]] = nullcontext
    _bar: tqdm[Never] | None = None
    _told: str = ""
    _speed: str = ""
    _done: int = 0

    def note(self, text: str) -> None:
        """Say what begins. On a terminal the next redraw replaces it."""
        with self.exposed():
            if self.stream.isatty():
                self._line().set_description_str(f"titrate: {text}")
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
            if self.stream.isatty():
                self._redraw()

    def trials_done(self, study: optuna.Study) -> None:
        """Some trials have ended."""
        states = [trial.state for trial in study.get_trials(deepcopy=False)]
        self._done = sum(state.is_finished() for state in states)
        pruned, failed = states.count(TrialState.PRUNED), states.count(TrialState.FAIL)
        parts = [f"{pruned} pruned"] * bool(pruned) + [f"{failed} failed"] * bool(failed)
        if TrialState.COMPLETE in states:
            best = study.best_trial
            parts.insert(0, f"best {best.value:.4g} (trial {best.number})")
        self._told = ", ".join(parts)
        with self.exposed():
            if self.stream.isatty():
                self._redraw()
            else:
                self._say(f"{self._done}/{self.trials} trials, {self._told}")

    def close(self) -> None:
        """Remove the line."""
        if self._bar is not None:
            with self.exposed():
                self._bar.close()
            self._bar = None

    def _say(self, text: str) -> None:
        self.stream.write(f"titrate: {text}\n")
        self.stream.flush()

    def _redraw(self) -> None:
        bar = self._line()
        bar.n = self._done
        bar.set_description_str("titrate: trials", refresh=False)
        bar.set_postfix_str(", ".join(filter(None, (self._told, self._speed))))

    def _line(self) -> tqdm[Never]:
        if self._bar is None:
            self._bar = tqdm(
                file=self.stream,
                total=self.trials,
                leave=False,
                dynamic_ncols=True,
                bar_format="{desc} {bar} {n_fmt}/{total_fmt}{postfix}, {remaining} left",
            )
        return self._bar
