from __future__ import annotations

import io
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from harness.report.build import build
from harness.report.figures.plots import plots
from harness.report.loaded import Report
from harness.report.report import Agreement, Metric
from harness.report.run_info import ShardInfo
from harness.report.tables.case_columns import _signed, interval
from harness.report.tables.terminal import table, terminal_width
from tests.report.large_run import large_run
from tests.report.small_run import called, cases_of, first, measured, result_of, sweep

EXPECTED = """\
keep_topk  zoo/moe, micro_humaneval, n = 12
style     count                pass@1  delta  +/-  p Holm      p   mde  agree  same
───────────────────────────────────────────────────────────────────────────────────
agentic   baseline  0.92 [0.67, 0.99]      -    -       -      -     -      -     -
agentic   0         0.92 [0.67, 0.99]  +0.00  0/0   1.000  1.000  0.58    all  100%
agentic   4         0.75 [0.47, 0.92]  -0.17  0/2   1.000  0.500  0.58    2.0    0%
assisted  baseline  0.92 [0.67, 0.99]      -    -       -      -     -      -     -
assisted  0         0.92 [0.67, 0.99]  +0.00  0/0   1.000  1.000  0.58    all  100%
assisted  4         0.75 [0.47, 0.92]  -0.17  0/2   1.000  0.500  0.58    2.0    0%

+/-: samples that got better and worse; p Holm: p of the difference, paired by sample,
Holm-corrected over the experiment; p: the same, not corrected; mde: the smallest delta that this
many samples show with a power of 80 %; agree: mean tokens before the first departure from the
baseline, all where none departed; same: samples all of whose completions equal the baseline's.
"""


def shown(report, **options):
    return table(report, **{"width": 100} | options)


def test_of_very_many_cases_the_first_are_shown_and_none_has_a_dot():
    report, _ = large_run(doses=101, seeds=2, samples=1)
    told = shown(report)
    assert "200 of 204 cases; cases.csv and the page have all" in told
    cases = tuple(case.model_copy(update={"dose": None}) for case in report.cases)
    assert list(plots(report.model_copy(update={"cases": cases}))) == []


def test_the_table(run):
    assert shown(build(run, sweep(doses=(0, 4)))) == EXPECTED


def test_a_difference_from_nothing_has_the_decimals_of_all_others(run):
    metric = Metric(value=0, ci_low=None, ci_high=None, n=9, method="t")
    assert [_signed(metric, each) for each in (-0.3, 0.0123)] == ["-0.30", "+0.012"]


def test_the_legend_explains_no_interval_that_is_not_shown(run):
    report = build(run, sweep(doses=(0, 4), n=40))
    agreement = Agreement(tokens=21.7, ci_low=20.9, ci_high=22.5, identical=0.5)
    cases = tuple(case.model_copy(update={"agreement": agreement}) for case in report.cases)
    report = report.model_copy(update={"cases": cases})
    texts = [shown(report, width=width) for width in range(60, 130, 5)]
    assert [("21.7 ±0.8" in text) == ("(±: half" in text) for text in texts] == [True] * len(texts)
    assert {"±" in text for text in texts if "agree:" in text} == {True, False}


def test_series_stand_together_whatever_the_order_of_the_cases(run):
    results = sweep(doses=(4, 0))
    assert shown(build(run, results[::-1])).splitlines()[3].startswith("a")
    rows = [line.split()[:2] for line in shown(build(run, results[::-1])).splitlines()[3:9]]
    assert [dose for _, dose in rows] == ["baseline", "0", "4"] * 2
    assert len({style for style, _ in rows[:3]}) == len({style for style, _ in rows[3:]}) == 1


def test_routing_that_was_changed_or_left_empty_is_shown_as_shares(run, results):
    counts = {"routed": 200, "changed": 50, "emptied": 4}
    results[1] = replace(results[1], counts=counts)
    rows = shown(build(run, results)).splitlines()
    assert rows[1].endswith("changed  empty")
    assert sum(row.endswith("25%     2%") for row in rows) == 1


def test_a_single_dose_is_named_beside_its_baseline(run):
    rows = shown(build(run, sweep(doses=(4,)))).splitlines()[3:7]
    assert [row.split()[1] for row in rows] == ["baseline", "4"] * 2


def test_colour_only_where_it_is_asked_for(report):
    assert "\x1b" not in shown(report)
    assert "\x1b[" in shown(report, colour=True)


def test_tables_are_at_most_100_columns(run):
    axes = {
        "prompt.style": ["agentic", "assisted"],
        "intervention.mode": ["keep_topk", "replace_topk"],
        "seed": [0, 1],
        "model": ["an/organisation-with-a-model-of-a-very-long-name-indeed", "zoo/moe"],
    }
    results = [result_of(case, first(5, 9), baseline=None) for case in cases_of(axes=axes)]
    text = shown(build(run, results))
    assert max(map(len, text.splitlines())) <= 100
    assert text.count("0.56 [0.25, 0.83]") == 16


def test_cases_without_numbers_say_why_once(run, results):
    for index in (2, 3):
        results[index] = replace(results[index], status="incomplete", error="the run ended")
    results[4] = replace(results[4], status="failed", error="out of memory", draws=())
    text = shown(build(run, results))
    assert text.count("incomplete  ") == 2
    assert "incomplete: 2 cases, first keep_topk[style=agentic-count=1]: the run ended" in text
    assert "failed: keep_topk[style=agentic-count=4]: out of memory" in text


def test_warnings_come_below_once(run, results):
    results = [replace(result, warnings=("[red] 3 answers cut",)) for result in results]
    text = shown(build(run, results))
    assert text.endswith("warning: 10 cases, the worst: [red] 3 answers cut\n")


def test_small_p_is_never_a_zero(run):
    text = shown(build(run, sweep(doses=tuple(range(11)), n=40)))
    assert "<0.001" in text
    assert " 0.000" not in text


def test_an_experiment_without_axes_is_named_by_its_id(run):
    text = shown(build(run, [result_of(cases_of()[0], first(5, 9), baseline=None)]))
    assert "keep_topk" in text
    assert "0.56 [0.25, 0.83]" in text


def test_an_empty_report_is_an_empty_table(run):
    assert shown(build(run, [])) == "\n"


def test_warnings_that_differ_in_numbers_only_are_one(run, results):
    results = [replace(r, warnings=(f"{i} of 12 answers cut",)) for i, r in enumerate(results)]
    text = shown(build(run, results))
    assert text.count("warning") == 1
    assert "warning: 10 cases, the worst: 9 of 12 answers cut" in text


def test_a_report_that_was_not_corrected_says_so(run):
    report = build(run, sweep(doses=(0, 4)))
    cases = tuple(
        case.model_copy(
            update={
                "versus_baseline": {
                    name: versus.model_copy(update={"p_holm": None})
                    for name, versus in case.versus_baseline.items()
                }
            }
        )
        for case in report.cases
    )
    assert "Holm" in shown(report)
    text = shown(report.model_copy(update={"cases": cases}))
    assert "Holm" not in text
    assert "not corrected" in text


def test_tool_calls_have_a_column_where_any_were_made(run):
    results = [called(each, at) for at, each in enumerate(sweep(doses=(0, 4)))]
    lines = shown(build(run, results)).splitlines()
    assert lines[1].endswith("same  tool_call")
    assert lines[4].endswith("0%       0.08") or lines[4].endswith("100%       0.08")
    masked = [replace(each, counts={"routed": 9, "changed": 3, "emptied": 0}) for each in results]
    assert "tool_call" not in shown(build(run, masked)).splitlines()[1], "routing comes first"


def test_all_metrics_that_a_spec_asks_for_are_shown_in_tables_below_if_need_be(run):
    names = [f"asked_for_{at}" for at in range(4)]
    metrics = [{"kind": "length", "name": name} for name in names]
    (case,) = cases_of(metrics=metrics)
    result = result_of(case, first(5, 12), baseline=None)
    own = {name: {f"s/{at}": float(at % 5) for at in range(12)} for name in names}
    result = replace(result, sample_metrics={**result.sample_metrics, **own})
    report = build(run, [result])
    for width in (40, 60, 80, 140):
        lines = shown(report, width=width).splitlines()
        assert max(map(len, lines)) <= width
        titles = [title for line in lines for title in line.split() if title in names]
        assert titles == names, "in their order, each once"
        assert "want of room" not in shown(report, width=width)
    assert shown(report, width=40).count("[") == 5, "what stands below has its interval"


def test_numbers_are_never_cut_off_beside_tool_calls(run):
    axes = {"prompt.style": ["agentic", "assisted"], "intervention.mode": ["keep_topk"]}
    axes |= {
        "intervention.count": [0, 100],
        "seed": [0, 12345678],
        "intervention.on_empty": ["zero"],
    }
    results = [
        called(result_of(case, first(50, 90), baseline=None), 45)
        for case in cases_of(axes=axes, dose="intervention.count")
    ]
    lines = shown(build(run, results)).splitlines()
    rows = [line for line in lines if line.endswith("0.50")]
    assert len(rows) == len(results)
    assert max(map(len, lines)) <= 100


def test_what_has_no_room_is_named_and_the_uncorrected_p_stays_beside_holms(run):
    results = [
        replace(each, counts={"routed": 200, "changed": 50, "emptied": 4}) for each in sweep()
    ]
    lines = shown(build(run, results), width=80).splitlines()
    assert lines[1].split() == [
        "style",
        "count",
        "pass@1",
        "delta",
        "+/-",
        "p",
        "Holm",
        "p",
        "agree",
        "same",
    ]
    assert "not shown for want of room: mde, changed, empty" in lines
    assert max(map(len, lines)) <= 80
    wide = shown(build(run, results), width=140)
    assert wide.splitlines()[1].endswith("changed  empty")
    assert "not shown" not in wide


@given(
    width=st.integers(40, 160),
    scale=st.sampled_from([1e-5, 0.01, 1.0, 1234.5, 9.87e6]),
    name=st.text("ab-", min_size=1, max_size=70),
)
def test_no_line_is_wider_than_the_terminal_and_no_number_is_cut(run, width, scale, name):
    """Whatever the size of the numbers, and however long the names of cases are."""
    results = []
    for at in range(2):
        for each in measured(0.3 * at):
            metrics = {
                metric: {sample: scale * value for sample, value in values.items()}
                for metric, values in each.sample_metrics.items()
            }
            params = {"model": f"{name}{at}"}
            case = replace(each.case, id=f"{each.case.id}{at}", params=params)
            results.append(replace(each, case=case, sample_metrics=metrics, baseline=None))
    report = build(run, results)
    lines = shown(report, width=width, legend=False).splitlines()
    assert max(map(len, lines)) <= width
    told = " ".join(lines)
    assert "…" not in told
    for case in report.cases:
        assert interval(case.metrics[case.metric]).partition(" ")[0] in told


def test_the_legend_is_told_once_for_all_experiments(run):
    losses = [replace(each, metric="nll_agentic") for each in measured(0.1)]
    text = shown(build(run, [*sweep(), *sweep(name="other"), *losses]))
    assert text.count("mde: ") == text.count("p Holm: ") == 1
    words = " ".join(text.split())
    assert "+/- in keep_topk, other: samples that got better and worse" in words
    assert "+/- in fwd: samples that fell (better) and rose (worse)" in words


def test_a_metric_that_no_sample_changes_is_told_once(run):
    text = shown(build(run, measured(0.1)))
    assert "p Holm" not in text
    assert text.count("the same in every case, sample by sample: delta_nll") == 1
    text = shown(build(run, [replace(each, metric="nll_agentic") for each in measured(0.1)]))
    assert "p Holm" in text
    assert "sample by sample: delta_nll" in text, "it stands in no column"


def test_the_width_is_the_terminals_or_that_of_columns_or_100(report, monkeypatch):
    monkeypatch.setenv("COLUMNS", "73")
    assert max(map(len, table(report).splitlines())) <= 73
    monkeypatch.delenv("COLUMNS")
    monkeypatch.setattr("sys.__stdout__", io.StringIO())  # a pipe has no width
    assert terminal_width() == 100


def test_a_selection_says_what_it_holds(run):
    results = [each for each in sweep() if each.case.params["prompt.style"] == "agentic"]
    heading = "keep_topk  zoo/moe, micro_humaneval, n = 12"
    assert shown(build(run, results)).startswith(f"{heading}, style=agentic, 4 of 8 cases\n")
    assert shown(build(run, sweep())).startswith(f"{heading}\n")
    shard = ShardInfo(index=1, of=2, cases=(), selection="")
    part = build(run.model_copy(update={"shard": shard}), results[:3])
    assert shown(part).startswith(f"{heading}, style=agentic, 2 of 8 cases, shard 1/2\n")
    older = [case.model_copy(update={"grid": None}) for case in part.cases]
    unknown = part.model_copy(update={"cases": tuple(older), "run": run})
    assert shown(unknown).startswith(f"{heading}\n")


def test_a_notebook_gets_the_text_of_a_report_instead_of_having_it_shown(
    report, directory, monkeypatch
):
    class ZMQInteractiveShell:
        """What a notebook's `get_ipython()` gives, by which rich knows it."""

    text = repr(Report(report, directory))
    monkeypatch.setattr("builtins.get_ipython", ZMQInteractiveShell, raising=False)
    assert repr(Report(report, directory)) == text


def test_the_repr_of_a_report_is_its_table(report, directory, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    text = shown(report, legend=False).rstrip()
    loaded = Report(report, directory)
    assert repr(loaded) == str(loaded) == f"{text}\nreport: {directory}/index.html"
    assert "identities" in repr(Report(report.model_copy(update={"cases": ()}), directory))
    html = Report(report, directory)._repr_html_()
    cases, doses, _ = html.split("</table>")
    assert cases.count("<tr") == 1 + len(report.cases)
    assert "<th>p Holm</th>" in cases
    assert "<th>LOEL</th>" in doses
    assert f"report: {directory}/index.html" in html
    named = [case.model_copy(update={"experiment": "<script>"}) for case in report.cases]
    named = report.model_copy(update={"cases": tuple(named)})
    assert "<script>" not in Report(named, directory)._repr_html_()
