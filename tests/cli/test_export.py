"""`titrate export`: a report in any registered format, a third party's too."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import registry
from harness.cli.main import main

EXAMPLE = str(Path(__file__).parents[2] / "reports" / "example")


@pytest.fixture
def counted():
    """A format that another package brings: the number of cases."""

    def write(report, output):
        output.write_text(f"{len(report.cases)}\n")
        return [output]

    registry.exports.register("counted", write)
    yield
    registry.exports.unregister("counted")


def test_a_format_that_is_registered_is_written(counted, tmp_path, capsys):
    file = tmp_path / "count.txt"
    assert main(["export", EXAMPLE, "--format", "counted", "-o", str(file)]) == 0
    assert capsys.readouterr().out == f"{file}\n"
    assert file.read_text() == "16\n"


def test_the_formats_that_can_be_written_are_named(capsys, tmp_path):
    with pytest.raises(SystemExit):
        main(["export", EXAMPLE, "--format", "excel", "-o", str(tmp_path)])
    told = capsys.readouterr().err
    assert all(name in told for name in registry.exports.names())
