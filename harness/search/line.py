"""A search on the terminal: how many trials are done, what the best one has; or plain lines."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Never, TextIO

import optuna
from optuna.trial import TrialState
from tqdm import tqdm

from harness.runs.progress import Counts


@dataclass
class SearchLine:
    """Shows the trials of a study as they end. A run's watcher, too: it shows the speed."""

    stream: TextIO
    trials: int
    _bar: tqdm[Never] | None = None
    _told: str = ""
    _speed: str = field(default="")

    def note(self, text: str) -> None:
        """Say what begins. On a terminal the next redraw replaces it."""
        if self._on_terminal():
            self._line().set_description_str(f"titrate: {text}")
        else:
            self._say(text)

    def update(self, counts: Counts) -> None:
        """The speed, as requests are done."""
        self._speed = f"{counts.tokens / max(counts.seconds, 1e-9):,.0f} tok/s"
        if self._on_terminal():
            self._line().set_postfix_str(", ".join(filter(None, (self._told, self._speed))))

    def trials_done(self, study: optuna.Study) -> None:
        """Some trials have ended."""
        states = [trial.state for trial in study.get_trials(deepcopy=False)]
        done = sum(state.is_finished() for state in states)
        pruned, failed = states.count(TrialState.PRUNED), states.count(TrialState.FAIL)
        parts = [f"{pruned} pruned"] * bool(pruned) + [f"{failed} failed"] * bool(failed)
        if TrialState.COMPLETE in states:
            best = study.best_trial
            parts.insert(0, f"best {best.value:.4g} (trial {best.number})")
        self._told = ", ".join(parts)
        if self._on_terminal():
            bar = self._line()
            bar.set_description_str("titrate: trials", refresh=False)
            bar.n = done
            bar.set_postfix_str(", ".join(filter(None, (self._told, self._speed))))
        else:
            self._say(f"{done}/{self.trials} trials, {self._told}")

    def close(self) -> None:
        """Remove the line."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _on_terminal(self) -> bool:
        return self.stream.isatty()

    def _say(self, text: str) -> None:
        self.stream.write(f"titrate: {text}\n")
        self.stream.flush()

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
