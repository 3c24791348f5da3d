"""Titrate: dose-response measurements of what an intervention does to a language model.

    report = harness.run("specs/router_masks/keep_topk.yaml")
    report = harness.load_report("reports/20260131-142500")    # the same, from disk
    report                              # prints as a table
    report.cases, report.samples        # pandas frames

Importing this package is cheap: what a name needs is imported when it is first used, torch when
something is run.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.errors import (
        BundleError,
        FieldError,
        MetricError,
        ModelError,
        OptionError,
        OutputError,
        ReadOnlyError,
        RegistryError,
        ReportError,
        RequestError,
        SandboxError,
        SpecError,
        StoreError,
        TaskError,
        TemplateError,
        TitrateError,
        UnreachableError,
        UnstoredError,
        VectorError,
    )
    from harness.face import compare, forecast, merge, run
    from harness.report.loaded import Report, load_report
    from harness.spec.experiment import Experiment
    from harness.statistics.quantal import benchmark_dose

    __version__: str

__all__ = [
    "BundleError",
    "Experiment",
    "FieldError",
    "MetricError",
    "ModelError",
    "OptionError",
    "OutputError",
    "ReadOnlyError",
    "RegistryError",
    "Report",
    "ReportError",
    "RequestError",
    "SandboxError",
    "SpecError",
    "StoreError",
    "TaskError",
    "TemplateError",
    "TitrateError",
    "UnreachableError",
    "UnstoredError",
    "VectorError",
    "__version__",
    "benchmark_dose",
    "compare",
    "forecast",
    "load_report",
    "merge",
    "run",
]

_MODULES = {
    "Experiment": "harness.spec.experiment",
    "Report": "harness.report.loaded",
    "benchmark_dose": "harness.statistics.quantal",
    "compare": "harness.face",
    "forecast": "harness.face",
    "load_report": "harness.report.loaded",
    "merge": "harness.face",
    "run": "harness.face",
}
"""Where names lie that are not errors."""


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'harness' has no attribute {name!r}")
    if name == "__version__":
        from importlib.metadata import version

        return version("pytest-titrate")
    return getattr(import_module(_MODULES.get(name, "harness.errors")), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
