from __future__ import annotations

from dataclasses import replace

from harness.reporting import build, table

from .small_run import called, cases_of, first, result_of, sweep

EXPECTED = """\
keep_topk  zoo/moe, micro_humaneval, n = 12
style     count                pass@1  delta  +/-      p   mde  agree  same
───────────────────────────────────────────────────────────────────────────
agentic   baseline  0.92 [0.67, 0.99]      -    -      -     -      -     -
agentic   0         0.92 [0.67, 0.99]  +0.00  0/0  1.000  0.58    4.0  100%
agentic   4         0.75 [0.47, 0.92]  -0.17  0/2  1.000  0.58    2.0    0%
assisted  baseline  0.92 [0.67, 0.99]      -    -      -     -      -     -
assisted  0         0.92 [0.67, 0.99]  +0.00  0/0  1.000  0.58    4.0  100%
assisted  4         0.75 [0.47, 0.92]  -0.17  0/2  1.000  0.58    2.0    0%
+/-: samples that got better and worse; p: paired by sample, Holm-corrected over the experiment;
mde: the smallest delta that this many samples show with a power of 80 %; agree: mean tokens
before the first departure from the baseline, ± half its 95 % interval; same: samples all of
whose completions equal it.
"""


def test_the_table(run):
    assert table(build(run, sweep(doses=(0, 4)))) == EXPECTED


def test_series_stand_together_whatever_the_order_of_the_cases(run):
    results = sweep(doses=(4, 0))
    assert table(build(run, results[::-1])).splitlines()[3].startswith("a")
    rows = [line.split()[:2] for line in table(build(run, results[::-1])).splitlines()[3:9]]
    assert [dose for _, dose in rows] == ["baseline", "0", "4"] * 2
    assert len({style for style, _ in rows[:3]}) == len({style for style, _ in rows[3:]}) == 1


def test_routing_that_was_changed_or_left_empty_is_shown_as_shares(run, results):
    counts = {"routed": 200, "changed": 50, "emptied": 4}
    results[1] = replace(results[1], counts=counts)
    rows = table(build(run, results)).splitlines()
    assert rows[1].endswith("changed  empty")
    assert sum(row.endswith("25%     2%") for row in rows) == 1


def test_a_single_dose_is_named_beside_its_baseline(run):
    rows = table(build(run, sweep(doses=(4,)))).splitlines()[3:7]
    assert [row.split()[1] for row in rows] == ["baseline", "4"] * 2


def test_colour_only_where_it_is_asked_for(report):
    assert "\x1b" not in table(report)
    assert "\x1b[" in table(report, colour=True)


def test_tables_are_at_most_100_columns(run):
    axes = {
        "prompt.style": ["agentic", "assisted"],
        "intervention.mode": ["keep_topk", "replace_topk"],
        "seed": [0, 1],
        "model": ["an/organisation-with-a-model-of-a-very-long-name-indeed", "zoo/moe"],
    }
    results = [result_of(case, first(5, 9), baseline=None) for case in cases_of(axes=axes)]
    text = table(build(run, results))
    assert max(map(len, text.splitlines())) <= 100
    assert text.count("0.56 [0.25, 0.83]") == 16


def test_cases_without_numbers_say_why_once(run, results):
    for index in (2, 3):
        results[index] = replace(results[index], status="incomplete", error="the run ended")
    results[4] = replace(results[4], status="failed", error="out of memory", draws=())
    text = table(build(run, results))
    assert text.count("incomplete  ") == 2
    assert "incomplete: 2 cases, first keep_topk[style=agentic-count=1]: the run ended" in text
    assert "failed: keep_topk[style=agentic-count=4]: out of memory" in text


def test_warnings_come_below_once(run, results):
    results = [replace(result, warnings=("[red] 3 answers cut",)) for result in results]
    text = table(build(run, results))
    assert text.endswith("warning: 10 cases, the worst: [red] 3 answers cut\n")


def test_small_p_is_never_a_zero(run):
    text = table(build(run, sweep(doses=tuple(range(11)), n=40)))
    assert "<0.001" in text
    assert " 0.000" not in text


def test_an_experiment_without_axes_is_named_by_its_id(run):
    text = table(build(run, [result_of(cases_of()[0], first(5, 9), baseline=None)]))
    assert "keep_topk" in text
    assert "0.56 [0.25, 0.83]" in text


def test_an_empty_report_is_an_empty_table(run):
    assert table(build(run, [])) == "\n"


def test_warnings_that_differ_in_numbers_only_are_one(run, results):
    results = [replace(r, warnings=(f"{i} of 12 answers cut",)) for i, r in enumerate(results)]
    text = table(build(run, results))
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
    assert "Holm" in table(report)
    text = table(report.model_copy(update={"cases": cases}))
    assert "Holm" not in text
    assert "not corrected" in text


def test_tool_calls_have_a_column_where_any_were_made(run):
    results = [called(each, at) for at, each in enumerate(sweep(doses=(0, 4)))]
    lines = table(build(run, results)).splitlines()
    assert lines[1].endswith("same  tool_call")
    assert lines[4].endswith("0%       0.08") or lines[4].endswith("100%       0.08")
    masked = [replace(each, counts={"routed": 9, "changed": 3, "emptied": 0}) for each in results]
    assert "tool_call" not in table(build(run, masked))


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
    lines = table(build(run, results)).splitlines()
    rows = [line for line in lines if line.endswith("0.50")]
    assert len(rows) == len(results)
    assert max(map(len, lines)) <= 100
