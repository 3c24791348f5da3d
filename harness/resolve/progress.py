"""What a run tells its watcher. Reporting progress never changes results."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass
class Counts:
    """Where a run stands.

    `requests_total` counts distinct requests of the models met so far, `requests_stored` those
    of the done ones that came from the completion store; `tokens` of done requests were made in
    this run, and `in_flight` of those that go on, in `seconds` of its engines, for which `loads`
    models were loaded. Seconds of an engine are those in which it was waited for: loading,
    measuring, scoring and what was stored take none of them. `left` are the seconds that the rest
    is expected to take; None where nothing is known yet.
    """

    cases_done: int = 0
    cases_total: int = 0
    requests_done: int = 0
    requests_stored: int = 0
    requests_total: int = 0
    cases_met: int = 0
    """Cases of the models met so far."""
    tokens: int = 0
    in_flight: int = 0
    left: float | None = None
    loads: int = 0
    seconds: float = 0.0
    deleted: int = 0
    """Records that were stored in this run, and whose file was deleted since."""

    @property
    def speed(self) -> str:
        """The tokens that were made in this run by the seconds of its engines; empty without any.

        The same number while a run goes on and when it is over.
        """
        made = self.tokens + self.in_flight
        if not made or not self.seconds:
            return ""
        return f"{made / self.seconds:,.0f} tokens/s"


class Progress(Protocol):
    """A watcher of a run."""

    def note(self, text: str) -> None:
        """Something that takes a while begins: loading a model, measuring an ordering."""

    def update(self, counts: Counts) -> None:
        """A request or a case was finished. Called often; the watcher decides what to show."""

    def close(self) -> None:
        """The run is over."""


class Silent:
    """Watches nothing."""

    def note(self, text: str) -> None:
        """Say nothing."""

    def update(self, counts: Counts) -> None:
        """Show nothing."""

    def close(self) -> None:
        """Leave nothing behind."""
