"""The process that starts workers: it names the run, watches it, and reports what they recorded.

It collects nothing and runs nothing, and it imports no torch. What workers find comes to it through
the run's folder, which loses nothing to a worker's death, so that a report is made the same way
after a run in which some died.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from harness.claims.claims import Claims
from harness.errors import ReadOnlyError, StoreError
from harness.launch.live import LiveLine
from harness.launch.xdist.live_board import LiveBoard
from harness.launch.xdist.orders import Orders, say_crashed, told_places
from harness.runs.agreement import with_one_baseline
from harness.runs.conclude import Finished, conclude, run_info
from harness.store.completions import check_usable, shards
from harness.store.folder import RunFolder, run_id
from harness.store.places import runs_below, store_below
from harness.store.results import CaseResult


class Controller:
    """One run with workers, from its name to its report.

    Args:
        root: The folder that the run starts from; its own folder is below.
        command: The command line as typed.
        line: Shows the progress of all workers together.
        devices: The accelerators that workers may use, one each.
        claims: What the run is judged by, beside its specs.
    """

    def __init__(
        self, root: Path, command: str, line: LiveLine, devices: Sequence[str], claims: Claims
    ) -> None:
        self.devices = devices
        self.started = datetime.now(UTC)
        self.line = line
        self._claims = claims
        self._report = Path()
        self._id = run_id(self.started)
        self._command = command
        self._root = root
        self._directory = runs_below(root) / self._id
        self._live = LiveBoard(self._directory, line)
        self._crashed: dict[str, str] = {}

    def check_writable(self, store: Path | None) -> None:
        """Find out before any worker is started whether they could keep what they make.

        Raises:
            StoreError: the run's folder or the completion store cannot be written.
        """
        try:
            RunFolder(self._directory).check_writable()
        except ReadOnlyError as error:
            raise StoreError(f"{error}; a run without workers (-n0) needs no records") from error
        directory = store or store_below(self._root)
        try:
            check_usable(directory)
        except ReadOnlyError:
            if not shards(directory):
                raise

    def start(self, report: Path) -> None:
        """Begin to watch a run whose report goes to a directory."""
        self._report = report
        self._live.start()

    @property
    def orders(self) -> Orders:
        """What every worker is told."""
        started = self.started.isoformat()
        return Orders(
            self._id,
            str(self._directory),
            started,
            str(self._report),
            self._command,
            platform.node(),
            os.getpid(),
        )

    def parts(self) -> dict[str, int]:
        """The part of the cases that each node id belongs to."""
        return {nodeid: place.part for nodeid, place in told_places(self._directory).items()}

    def left(self, worker: str) -> None:
        """A worker has ended, or died."""
        self._live.leave(worker)

    def crashed(self, nodeid: str, worker: str) -> None:
        """A worker died while it ran this test. No other worker is to try its case in this run."""
        place = told_places(self._directory).get(nodeid)
        if place is not None:
            self._crashed[place.case] = f"worker {worker} died while it ran this case"
            say_crashed(self._directory, self._crashed)

    def finish(self) -> Finished | None:
        """Write the report of what the workers recorded; None when they began nothing."""
        self._live.close()
        folder = RunFolder(self._directory, warn=self.line.note)
        results = with_one_baseline(folder.results())
        findings = folder.findings()
        counts = self._live.counts()
        if not results and not findings:
            if counts.requests_total:
                raise StoreError(
                    f"{self._directory}: the run's records were deleted while it went on; run the "
                    "same command again: what is stored is not made again"
                )
            return None
        info = run_info(folder.manifest(), *folder.engines(), datetime.now(UTC), counts)
        finished = conclude(
            info,
            [self._explained(result) for result in results],
            self._report,
            findings,
            self._claims,
        )
        board = self._live.board()
        loads = {process: pinned.counts.loads for process, pinned in board.items()}
        return replace(finished, deleted=counts.deleted, loads=loads)

    def _explained(self, result: CaseResult) -> CaseResult:
        """The result; of a case over which a worker died, with that as its reason."""
        died = self._crashed.get(result.case.id)
        if died is None or result.status != "incomplete":
            return result
        return replace(result, error=died)
