"""One page over many reports."""

import shutil

import pytest

from harness.cli.main import main
from harness.errors import ReportError
from harness.report.page.browse import browse
from harness.report.write import write


@pytest.fixture
def folder(report, results, tmp_path):
    for name in ("one", "deep/two"):
        write(report, results, tmp_path / name)
    return tmp_path


def test_every_case_of_every_report_is_a_row_with_its_link(folder, report):
    page, reports, problems = browse(folder)
    text = page.read_text()
    assert (reports, problems) == (2, [])
    assert text.count("<tr><td>") == 2 * len(report.cases)
    held = f'<td class="measured">{len(report.gates)} of {len(report.gates)} hold</td>'
    complete = f'<td class="measured">{len(report.cases)} of {len(report.cases)} complete</td>'
    assert text.count(complete + (held if report.gates else '<td class="measured"></td>')) == 2
    assert '<a href="deep/two/index.html">deep/two</a>' in text
    assert 'href="deep/two/index.html#experiment=keep_topk"' in text


def test_what_cannot_be_read_is_told_and_the_rest_is_shown(folder, capsys):
    (folder / "one/report.json").write_text("<script>")
    assert main(["browse", str(folder)]) == 0
    told = capsys.readouterr().out
    assert "left out: " in told
    assert "page of 1 reports" in told
    assert "<script>&lt;" not in (folder / "browse.html").read_text()


def test_a_folder_without_a_report_is_refused_in_one_line(folder, capsys):
    shutil.rmtree(folder / "one")
    shutil.rmtree(folder / "deep")
    with pytest.raises(ReportError, match="has no report that can be read"):
        browse(folder)
    assert main(["browse", str(folder / "nowhere")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
