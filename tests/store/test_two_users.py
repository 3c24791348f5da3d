"""One store of two users on a shared folder: each writes files of their own and reads all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.engines.contract import Completion
from harness.store.completions import CompletionStore

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may become somebody else")

ALICE, BOB = 65001, 65002  # no user needs to have these numbers
MADE = Completion((1, 2), "two", "stop", (-0.5, -0.25), {})
KEYS = [f"{number:064x}" for number in range(6)]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that everybody may write to, as a shared scratch folder; pytest's are root's own."""
    made = Path(tempfile.mkdtemp(prefix="titrate-shared-"))
    made.chmod(0o1777)
    yield made
    shutil.rmtree(made)


def acting(user: int, act: Callable[[], object]) -> None:
    """Do something as a user, in a process of theirs."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.setgroups([])
            os.setgid(user)
            os.setuid(user)
            act()
            status = 0
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0


def test_each_finds_what_the_other_has_made(folder):
    store, disk = folder / "store", folder / "disk"
    for made in (store, disk):
        made.mkdir()
        made.chmod(0o1777)

    def writes(keys: list[str], known: list[str]) -> None:
        own = CompletionStore(store, scratch=disk)
        assert [key for key in KEYS if key in own] == known
        for key in keys:
            own.put(key, MADE)
        assert own.agree(KEYS[5], len(known), "ordering", "", int) == 0
        own.close()

    writes([], [])  # imports all that is needed while this is root
    acting(ALICE, lambda: writes(KEYS[:2], [KEYS[5]]))
    acting(BOB, lambda: writes(KEYS[2:4], [*KEYS[:2], KEYS[5]]))
    acting(ALICE, lambda: writes([], [*KEYS[:4], KEYS[5]]))
    assert {path.stat().st_uid for path in store.glob("*.jsonl")} == {0, ALICE, BOB}
    assert {path.stat().st_uid for path in disk.iterdir()} == {0, ALICE, BOB}
    assert list(disk.glob("*/*")) == []
