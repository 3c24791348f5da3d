"""pytest's and pytest-xdist's hooks of a run with workers; registered by the plugin.

In the controller of a run that names benches they share out devices, deal out parts of the cases,
watch the workers and write the report. In every other process, and for all other tests, they do
nothing.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pytest

from harness.errors import TitrateError
from harness.launch.xdist.devices import check_enough, share_out
from harness.plugin import invocation
from harness.plugin.named import names_benches
from harness.runs.accelerators import visible

if TYPE_CHECKING:
    from harness.launch.xdist.controller import Controller

_CONTROLLER: pytest.StashKey[Controller] = pytest.StashKey()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """`-n auto` is one worker per accelerator, at least one; a number set by the user is kept."""
    if config.option.numprocesses != "auto" or "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ:
        return None
    return max(1, len(visible())) if _names_benches(config) else None


def pytest_configure(config: pytest.Config) -> None:
    """A worker of a run that names benches ends when its controller does."""
    if hasattr(config, "workerinput"):
        from harness.launch.xdist.orders import Orders

        orders = Orders.found_in(config.workerinput)
        if orders is not None:
            orders.end_with_controller()


def pytest_cmdline_main(config: pytest.Config) -> None:
    """A plan is made by one process: it runs nothing. After xdist, which has set these options."""
    if config.option.titrate_plan and hasattr(config.option, "tx"):
        config.option.dist, config.option.tx = "no", []


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Become the controller of a run that names benches, before any worker is started."""
    config = session.config
    if not _starts_workers(config) or not _names_benches(config):
        return
    from xdist.workermanage import parse_tx_spec_config

    try:
        devices = visible()
        check_enough(len(parse_tx_spec_config(config)), devices)
        config.stash[_CONTROLLER] = _new_controller(config, devices)
    except TitrateError as error:
        raise pytest.UsageError(str(error)) from error


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes(config: pytest.Config, specs: Sequence[Any]) -> None:
    """Give each worker a device."""
    if _CONTROLLER in config.stash:
        share_out(config.stash[_CONTROLLER].devices, specs)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Give a worker, also one that replaces another, its orders."""
    if _CONTROLLER in node.config.stash:
        node.config.stash[_CONTROLLER].orders.put_into(node.workerinput)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config) -> Any:
    """Deal out parts of the cases, whatever `--dist` says: they were made for the workers."""
    if _CONTROLLER not in config.stash:
        return None
    from harness.launch.xdist.scheduling import PartScheduling

    return PartScheduling(config, config.stash[_CONTROLLER].parts)


@pytest.hookimpl(optionalhook=True)
def pytest_handlecrashitem(crashitem: str, report: pytest.TestReport) -> None:
    """A worker died over a test, which is not tried again in this run."""
    node = report.node  # where xdist puts it
    if _CONTROLLER in node.config.stash:
        node.config.stash[_CONTROLLER].crashed(crashitem, node.gateway.id)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """A worker has ended, one way or another."""
    if _CONTROLLER in node.config.stash:
        node.config.stash[_CONTROLLER].left(node.gateway.id)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the report when all workers have ended, also of a run that was interrupted."""
    if _CONTROLLER in session.config.stash:
        invocation.end(session, session.config.stash[_CONTROLLER].finish)


def refuse(session: pytest.Session, message: str) -> None:
    """Run nothing, because of what was found when all cases were known.

    A worker cannot end a session with an error of its own: it would count as crashed and be
    replaced. It reports a collection that failed, which xdist shows once for all workers.
    """
    if not hasattr(session.config, "workerinput"):
        raise pytest.UsageError(message)
    session.items.clear()
    session.config.hook.pytest_collectreport(
        report=pytest.CollectReport("titrate", "failed", message, [])
    )


def _new_controller(config: pytest.Config, devices: Sequence[str]) -> Controller:
    from harness.launch.xdist.controller import Controller

    line = invocation.live_line(config)
    claims = invocation.claims(config)
    claims.check_comparison()
    command = invocation.command(config)
    controller = Controller(config.rootpath, command, line, devices, claims)
    controller.check_writable(invocation.store_directory(config))
    controller.start(invocation.report_directory(config, controller.started, line))
    return controller


def _starts_workers(config: pytest.Config) -> bool:
    """Whether this process is going to start workers that run tests."""
    option = config.option
    distributed = getattr(option, "dist", "no") != "no" and getattr(option, "tx", None)
    return bool(distributed) and not option.collectonly


def _names_benches(config: pytest.Config) -> bool:
    paths, specs = invocation.named_paths(config), invocation.spec_root(config)
    collected, ignored = config.getini("python_files"), config.getini("norecursedirs")
    return names_benches(paths, specs, collected, ignored)
