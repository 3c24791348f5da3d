from __future__ import annotations

import pytest

from harness.plugin.named import names_benches

BENCH = "from harness.testing import experiments\n"
PATTERNS = ["test_*.py", "bench_*.py", "bench.py"]
IN_A_STRING = f'BENCH = """{BENCH}"""\n'


@pytest.fixture
def project(tmp_path):
    """A repository with benches, specs, tests of its own and somebody else's environment."""
    files = {
        "benches/bench_masks.py": BENCH,
        "benches/deep/bench_more.py": "import numpy, harness.testing\n",
        "specs/masks/small.yaml": "name: small\n",
        "tests/test_plain.py": "import harness\n",
        "tests/plugin/test_hooks.py": IN_A_STRING,
        "tests/data/table.yaml": "a: 1\n",
        "tests/broken.py": BENCH + "def (\n",
        "tests/typing/helper.py": BENCH,
        ".venv/lib/bench.py": BENCH,
        "notes.txt": BENCH,
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    "named",
    [
        "benches",
        "benches/bench_masks.py",
        "benches/deep",
        "specs",
        "specs/masks",
        "specs/masks/small.yaml",
        "tests/typing/helper.py",
        "tests/data/table.yaml",
        ".",
    ],
)
def test_benches_are_found(project, named):
    assert names_benches([project / named], project / "specs", PATTERNS, [".*"])
    assert names_benches([project / "tests", project / named], project / "specs", PATTERNS, [".*"])


@pytest.mark.parametrize(
    "named",
    [
        "tests",
        "tests/plugin/test_hooks.py",
        "tests/broken.py",
        "tests/data",
        "notes.txt",
        "missing.py",
    ],
)
def test_other_tests_are_left_alone(project, named):
    assert not names_benches([project / named], project / "specs", PATTERNS, [".*"])


def test_folders_that_pytest_does_not_enter_are_not_searched(project):
    (project / "other").mkdir()
    (project / "other" / "venv").symlink_to(project / ".venv")
    assert not names_benches([project / "other"], project / "specs", PATTERNS, [".*", "venv"])
    links = [project / "other"]
    assert not names_benches(links, project / "specs", PATTERNS, [".*"]), "links are not entered"
    assert names_benches([project / "other" / "venv"], project / "specs", PATTERNS, [".*"])
