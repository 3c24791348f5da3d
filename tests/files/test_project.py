import argparse

import pytest

from harness.cli.main import main
from harness.errors import SpecError
from harness.files.project import Project, project

SPEC = """
name: small
model: zoo/base
task: {name: micro_gsm8k}
sampling: {max_new_tokens: 4}
axes: {seed: [0]}
"""


@pytest.fixture
def said(tmp_path):
    """A function that writes a project's `[tool.titrate]`, and gives its folder."""

    def write(text):
        (tmp_path / "pyproject.toml").write_text(f"[tool.titrate]\n{text}\n", "utf-8")
        return tmp_path

    return write


def test_what_a_project_says_is_found_from_below(said):
    folder = said(
        'store = "kept"\nlimit = 3\nspecs = "studies"\nreports = "out"\nunsafe-code = true'
    )
    (folder / "deep" / "er").mkdir(parents=True)
    found = project(folder / "deep" / "er")
    assert found.options == {"store": folder / "kept", "limit": 3, "unsafe_code": True}
    assert (found.specs, found.reports) == (folder / "studies", folder / "out")
    assert str(found) == f"pyproject.toml says store={folder}/kept, limit=3, unsafe_code=True"


@pytest.mark.parametrize("text", [None, "[tool.other]\nlimit = 3\n"])
def test_a_project_may_say_nothing(tmp_path, text):
    if text is not None:
        (tmp_path / "pyproject.toml").write_text(text)
    assert project(tmp_path) == Project(tmp_path)
    assert str(project(tmp_path)) == ""


def test_a_command_line_goes_before_and_what_may_be_repeated_is_added_to():
    own = Project("", {"limit": 3, "set": ["seed=1"], "unsafe_code": True, "model": "zoo/moe"})
    given = argparse.Namespace(limit=9, set=["seed=2"], unsafe_code=False, other=None)
    own.fill(given)
    assert vars(given) == {
        "limit": 9,
        "set": ["seed=1", "seed=2"],
        "unsafe_code": True,
        "other": None,
    }


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "stroe = 'x'",
            "stroe is no key; use one of store, limit, model",
        ),
        ("fresh = true", "fresh is no key"),
        ("limit = '3'", "limit: '3' is no whole number"),
        ("limit = true", "limit: True is no whole number"),
        ("set = 'seed=1'", "set: 'seed=1' is no list; write ['FIELD=VALUE']"),
        ("unsafe-code = 1", "unsafe-code: 1 is neither true nor false"),
        ("model = 3", "model: 3 is no text; put it in quotes"),
        ("reports = 3", "reports: 3 is no text"),
        ("limit = ", "is no TOML"),
    ],
)
def test_what_means_nothing_is_refused_in_one_line(said, text, told):
    folder = said(text)
    with pytest.raises(SpecError) as refused:
        project(folder)
    assert told in str(refused.value)
    assert str(folder / "pyproject.toml") in str(refused.value)
    assert "\n" not in str(refused.value)


def test_titrate_and_pytest_follow_it(said, monkeypatch, capsys, pytester):
    folder = said('limit = 2\nset = ["sampling.max_new_tokens=5"]\nreports = "out"\nstore = "kept"')
    (folder / "small.yaml").write_text(SPEC)
    monkeypatch.chdir(folder)
    assert main(["run", "small.yaml"]) == 0
    assert "n = 2" in capsys.readouterr().out
    (written,) = (folder / "out").iterdir()
    assert (written / "report.json").exists()
    assert (folder / "kept").is_dir()
    assert main(["run", "small.yaml", "--limit", "1"]) == 0
    assert "n = 1" in capsys.readouterr().out
    ran = pytester.runpytest_inprocess(folder / "small.yaml", "--rootdir", folder)
    ran.stdout.fnmatch_lines(["titrate: pyproject.toml says *limit=2*", "* n = 2*", "*(2 stored)*"])


def test_pytest_refuses_it_in_one_line(said, pytester):
    folder = said("limt = 2")
    ran = pytester.runpytest_inprocess("--rootdir", folder)
    ran.stderr.fnmatch_lines(["ERROR: *pyproject.toml: [[]tool.titrate[]]: limt is no key*"])
