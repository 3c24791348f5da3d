"""The same examples in every run, and what tests of several rooms start from.

`HYPOTHESIS_PROFILE=explore` looks for new examples.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from _pytest.pytester import SysModulesSnapshot
from hypothesis import settings

from harness.engines.transformers.engine import TransformersEngine
from harness.models.loading import LoadedModel, load
from harness.report.build import build
from harness.report.report import RunReport
from harness.report.run_info import RunInfo
from harness.sampling import rules
from harness.store.results import CaseResult
from tests.prepared import Prepared
from tests.report.small_run import sweep
from tests.sampling.other_rules import COOLING, EVEN_RANKS, UNREPEATED

# A million objects of torch and of the tests themselves stay to the end. To look through them for
# garbage as often as Python does by itself took an eighth of the tests' time.
gc.set_threshold(20_000, 20, 20)

settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.register_profile("explore", deadline=None, max_examples=500)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))


def pytest_collection_finish() -> None:
    """Nor are they looked through where a test, or a run of pytest inside of one, asks for it."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def loaded() -> LoadedModel:
    """zoo/moe: trained, 0.8M parameters; never changed by a test."""
    return load("zoo/moe", device="cpu")


@pytest.fixture(scope="module")
def engine(loaded) -> TransformersEngine:
    """zoo/moe in an engine that a module's tests share."""
    return TransformersEngine(loaded)


@pytest.fixture(scope="session")
def prepared(tmp_path_factory) -> Iterator[Prepared]:
    """Starts real runs, and workers of pytest-xdist, in a fraction of a second."""
    process = Prepared(tmp_path_factory.mktemp("prepared"))
    yield process
    process.close()


@pytest.fixture
def pytester(pytester, monkeypatch, tmp_path_factory) -> pytest.Pytester:
    """As pytest has it, but what a run inside is the first to import stays imported.

    Otherwise the next test would import it once more, and there would be two of each of its
    classes, of which the registry keeps the first.
    """
    written, forget = tmp_path_factory.getbasetemp(), SysModulesSnapshot.restore

    def restored(snapshot: SysModulesSnapshot) -> None:
        lasting = {
            name: module
            for name, module in sys.modules.items()
            if not Path(getattr(module, "__file__", None) or "/").is_relative_to(written)
        }
        forget(snapshot)
        for name, module in lasting.items():
            sys.modules.setdefault(name, module)

    monkeypatch.setattr(SysModulesSnapshot, "restore", restored)
    return pytester


@pytest.fixture
def other_rules() -> Iterator[None]:
    """Rules that no file of the package has, registered as a project's conftest.py does it."""
    for rule in (COOLING, UNREPEATED, EVEN_RANKS):
        rules.register(rule.name, rule)
    yield
    for rule in (COOLING, UNREPEATED, EVEN_RANKS):
        rules.unregister(rule.name)


@pytest.fixture
def written(tmp_path, monkeypatch) -> Callable[..., Path]:
    """Writes a spec, with (old, new) changes of its text, in the folder that a test works in."""
    monkeypatch.chdir(tmp_path)

    def write(name: str, text: str, *changes: tuple[str, str]) -> Path:
        for old, new in changes:
            assert text.count(old) == 1
            text = text.replace(old, new)
        file = tmp_path / f"{name}.yaml"
        file.write_text(text)
        return file

    return write


@pytest.fixture(scope="session")
def run() -> RunInfo:
    return RunInfo(
        id="20260101-120000-abcd",
        started=datetime(2026, 1, 1, 12, 0, 0, 123456, tzinfo=UTC),
        finished=datetime(2026, 1, 1, 12, 5, 0, tzinfo=UTC),
        command="pytest benches -k keep_topk",
        versions={"torch": "2.8.0"},
        hardware={"cpu": "x86", "gpus": [], "memory_gib": 16.5},
        determinism={"dtype": "float32"},
    )


@pytest.fixture
def results() -> list[CaseResult]:
    return sweep()


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "report"


@pytest.fixture
def report(run: RunInfo, results: list[CaseResult]) -> RunReport:
    return build(run, results)


@pytest.fixture(scope="session", autouse=True)
def _anywhere() -> Iterator[None]:
    """Let pytest inside of tests print what it does at a desk: in CI, its summaries are longer."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("CI", "BUILD_NUMBER"):
            patch.delenv(name, raising=False)
        yield
