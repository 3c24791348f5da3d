"""The public face: its names, what each of them says of itself, and that its examples are true."""

from __future__ import annotations

import doctest
import importlib
import inspect
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import harness
from harness import face
from harness.cli.main import main
from harness.options import RUN

EXAMPLE = Path(__file__).parents[1] / "reports" / "example"
FACE = {
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
}
EXAMPLES = [
    harness.run,
    harness.forecast,
    harness.compare,
    harness.merge,
    harness.benchmark_dose,
    harness.load_report,
    harness.Report,
    harness.Experiment,
    harness.TitrateError,
    harness.OptionError,
]


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project as `titrate init` writes it, with the example report."""
    folder = tmp_path_factory.mktemp("project")
    main(["init", str(folder)])
    shutil.copytree(EXAMPLE, folder / "reports" / "example")
    before = Path.cwd()
    os.chdir(folder)
    yield folder
    os.chdir(before)


def test_the_face_is_these_names():
    assert set(harness.__all__) == FACE
    assert set(dir(harness)) >= FACE
    assert all(getattr(harness, name) is not None for name in FACE)
    with pytest.raises(AttributeError, match="module 'harness' has no attribute 'runn'"):
        harness.runn  # noqa: B018


def test_every_error_is_in_the_face():
    errors = importlib.import_module("harness.errors")
    classes = {
        name
        for name, each in vars(errors).items()
        if inspect.isclass(each) and issubclass(each, Exception)
    }
    assert classes <= FACE


def test_importing_the_face_is_cheap():
    program = (
        "import sys, harness; harness.__version__; harness.TitrateError; harness.run; "
        "print(sorted({'torch', 'pandas', 'scipy', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr


@pytest.mark.parametrize("documented", EXAMPLES, ids=lambda each: each.__name__)
def test_its_example_runs(documented, project):
    """Where `...` stands for what differs from machine to machine."""
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    name = documented.__name__
    (example,) = [
        each
        for each in doctest.DocTestFinder(recurse=False).find(documented, name, globs={})
        if each.examples
    ]
    told: list[str] = []
    assert runner.run(example, out=told.append).failed == 0, "".join(told)


@pytest.mark.parametrize("function", [face.run, face.forecast])
def test_arguments_are_those_of_the_table(function):
    taken = dict(inspect.signature(function).parameters)
    known = {option.argument for option in RUN if option.python}
    options = {name for name, each in taken.items() if each.kind is each.KEYWORD_ONLY}
    assert options - known <= {"progress"}
    if function is face.run:
        assert known <= options
    for name in taken:
        assert f"        {name}: " in function.__doc__
