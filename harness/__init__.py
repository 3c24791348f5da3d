"""Titrate: dose-response measurements of what an intervention does to a language model.

    report = harness.run("specs/router_masks/keep_topk.yaml")
    report = harness.load_report("reports/20260131-142500")    # the same, from disk
    report                              # prints as a table
    report.cases, report.samples        # pandas frames

Importing this package is cheap: torch is loaded when something is run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.launch.local import run
    from harness.report.loaded import load_report

__all__ = ["load_report", "run"]


def __getattr__(name: str) -> Any:
    if name == "run":
        from harness.launch.local import run

        return run
    if name == "load_report":
        from harness.report.loaded import load_report

        return load_report
    raise AttributeError(f"module 'harness' has no attribute {name!r}")
