"""What an interpreter says of the host to whoever looks everywhere that Python can look."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from harness import sandbox
from harness.sandbox.interpreter import Check
from harness.sandbox.levels import Level
from harness.sandbox.pool import check

ROOT = Path(__file__).parents[2]
LOOKING = """
    import sys
    said = [sys.argv, sys.orig_argv, sys.executable, sys._base_executable, sys.prefix]
    said += [sys.exec_prefix, sys.path, list(sys.path_importer_cache), sys.flags]
    said += [getattr(each, "__file__", "") for each in list(sys.modules.values())]
    frame = sys._getframe()
    while frame:
        said.append(frame.f_code.co_filename)
        for scope in (frame.f_globals, frame.f_locals):
            said += [(name, repr(value)) for name, value in scope.items() if name != "said"]
        frame = frame.f_back
    return repr(said)
"""


def test_nothing_says_where_the_harness_lies_and_how_it_was_started():
    isolation = sandbox.choose()
    if isolation.level is not Level.NAMESPACES:
        pytest.skip(f"{isolation.level} has no root directory of its own making")
    hidden = {str(ROOT), str(Path(sys.executable).parent), str(Path(sys.prefix))}
    tests = f"def check(f):\n    assert not [each for each in {hidden} if each in f()]\n"
    (verdict,) = check([Check("def f():", LOOKING, tests, "f")], isolation, timeout=20.0)
    assert verdict.passed, verdict
