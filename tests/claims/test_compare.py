from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.claims.compare import compare
from harness.claims.comparison import comparison_table
from harness.claims.saved import SavedRun
from harness.errors import ReportError
from harness.report.build import build
from harness.statistics.paired import holm, paired
from tests.report.small_run import METRIC, cases_of, first, result_of, sweep


def saved(run, results, name="before"):
    return SavedRun.of(build(run, results), results, name)


@pytest.fixture
def before(run):
    return saved(run, sweep(n=40))


@pytest.fixture
def after(run):
    results = sweep(n=40)
    for index in (1, 2):
        case = results[index].case
        results[index] = result_of(case, first(20, 40), nodeid=None)
    return saved(run, results, "after")


def test_cases_are_paired_by_id_and_sample(before, after):
    comparison = compare(before, after)
    assert [row.case.id for row in comparison.rows] == [case.id for case in after.report.cases]
    row = comparison.rows[1]
    assert (row.before, row.after) == (39 / 40, 20 / 40)
    own, other = (run.values[row.case.id][METRIC] for run in (after, before))
    expected = paired(own, other)
    assert row.versus.model_copy(update={"p_holm": None}) == expected
    assert (row.versus.better, row.versus.worse) == (0, 19)


def test_p_is_corrected_over_the_compared_cases(before, after):
    rows = compare(before, after).rows
    assert [row.versus.p_holm for row in rows] == holm([row.versus.p for row in rows])


def test_a_run_compared_with_itself_shows_nothing(before):
    comparison = compare(before, before)
    assert {row.versus.delta for row in comparison.rows} == {0.0}
    assert (comparison.differences, comparison.left_out, comparison.only_before) == ((), {}, ())


def test_what_was_made_differently_is_said(run, before):
    changed = run.model_copy(
        update={
            "determinism": {
                "dtype": "bfloat16",
                "policy": "strict",
                "fingerprint of zoo/moe": "b" * 64,
            }
        }
    )
    results = [
        replace(each, task_version=2, case=each.case) for each in sweep(n=40) if each.baseline
    ]
    first_run = before.report.run.model_copy(
        update={"determinism": {"dtype": "float32", "fingerprint of zoo/moe": "a" * 64}}
    )
    old = replace(before, report=before.report.model_copy(update={"run": first_run}))
    comparison = compare(old, saved(changed, results, "after"))
    assert comparison.differences == (
        (
            "task micro_humaneval version 1 -> micro_humaneval version 2 (8 cases; other versions "
            "of a task cannot be compared)"
        ),
        "determinism dtype: float32 -> bfloat16",
        "fingerprint of zoo/moe: aaaaaaaaaaaa -> bbbbbbbbbbbb",
        "determinism policy: not said -> strict",
    )
    text = comparison_table(comparison)
    assert text.index("differs: task micro_humaneval version 1") < text.index("pass@1")


def test_settings_that_differ_are_said_with_their_number(run):
    def with_tokens(tokens):
        case = cases_of(sampling={"max_new_tokens": tokens})[0]
        return saved(run, [result_of(case, first(5, 9), baseline=None)])

    comparison = compare(with_tokens(96), with_tokens(64))
    assert comparison.differences == ("sampling.max_new_tokens: 96 -> 64 (1 case)",)


def test_cases_that_one_run_lacks_are_named(run, before):
    fewer = saved(run, sweep(doses=(0, 1), n=40), "fewer")
    comparison = compare(before, fewer)
    assert len(comparison.rows) == 6
    assert comparison.only_before[0] == "keep_topk[style=agentic-count=2]"
    back = compare(fewer, before)
    assert back.left_out["keep_topk[style=agentic-count=2]"] == "not in fewer"
    text = comparison_table(back)
    assert "not compared: keep_topk[style=agentic-count=2]: not in fewer" in text


def test_other_samples_and_unfinished_cases_have_no_row(run, before):
    results = sweep(n=40)
    results[1] = replace(results[1], status="failed", error="x")
    results[2] = replace(results[2], sample_metrics={METRIC: {f"x/{i}": 1.0 for i in range(40)}})
    comparison = compare(before, saved(run, results, "after"))
    reasons = list(comparison.left_out.values())
    assert reasons[0] == "failed in after"
    assert reasons[1] == ("no sample of before (40, such as s/0) is in after (40, such as x/0)")
    assert comparison.disjoint == (results[2].case.id,)


def limited(results, least, most):
    """The results over samples `least` to `most` alone, as another limit of the task gives them."""
    return [
        replace(
            each,
            task_size=most - least,
            sample_metrics={
                METRIC: {
                    sample: value
                    for sample, value in each.sample_metrics[METRIC].items()
                    if least <= int(sample.removeprefix("s/")) < most
                }
            },
        )
        for each in results
    ]


@given(cuts=st.lists(st.integers(0, 12), min_size=4, max_size=4))
def test_runs_over_other_samples_are_compared_over_those_that_both_have(run, cuts):
    """The same as if both had run the shared ones; in whichever order, and none is left over."""
    (a, b), (c, d) = sorted(cuts[:2]), sorted(cuts[2:])
    results = sweep(doses=(0, 1), styles=("agentic",))
    worse = [replace(each, sample_metrics=results[-1].sample_metrics) for each in results]
    if a == b or c == d:
        return
    one, other = saved(run, limited(results, a, b)), saved(run, limited(worse, c, d))
    comparison = compare(one, other)
    shared = range(max(a, c), min(b, d))
    if not shared:
        assert (comparison.rows, len(comparison.disjoint)) == ((), len(results))
        return
    least, most = shared[0], shared[-1] + 1
    alone = compare(
        saved(run, limited(results, least, most)), saved(run, limited(worse, least, most))
    )
    for row, expected in zip(comparison.rows, alone.rows, strict=True):
        assert (row.before, row.after, row.versus) == (
            expected.before,
            expected.after,
            expected.versus,
        )
        assert (row.shared, row.sizes) == (len(shared), (b - a, d - c))
    text = " ".join(comparison_table(comparison, width=100).split())
    if comparison.rows[0].whole:
        assert f"n = {len(shared)} " in text
    else:
        counted = f"n = {len(shared)} shared samples, of {b - a} in the first run and {d - c} in"
        assert counted in text


@pytest.mark.parametrize("width", range(74, 100))
def test_no_number_is_cut_whatever_the_width(before, after, width):
    def table(columns):
        return comparison_table(compare(before, after), width=columns).split("\n\n")[0]

    assert max(map(len, table(width).splitlines())) <= width
    numbers = re.compile(r"(?<= )[<+-]?\d\S*$", re.MULTILINE)  # the last of each line
    assert numbers.findall(table(width))
    assert set(numbers.findall(table(width))) <= set(table(140).split())


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"metric": "pass@2"}, "pass@2: no such metric in before; did you mean pass@1?"),
        ({"cases": ["keep_topk[style=agentic-count=9]"]}, "no such case in after; did you mean"),
    ],
)
def test_what_does_not_exist_is_one_line(before, after, options, says):
    with pytest.raises(ReportError) as caught:
        compare(before, after, **options)
    assert says in str(caught.value)


def test_runs_of_different_specs_are_refused(run, before):
    other = saved(run, sweep(name="other"), "other")
    with pytest.raises(ReportError, match="before and other have no case in common"):
        compare(before, other)


def test_chosen_cases_only(before, after):
    id_ = "keep_topk[style=agentic-count=1]"
    comparison = compare(before, after, cases=[id_])
    assert [row.case.id for row in comparison.rows] == [id_]
    assert comparison.rows[0].versus.p_holm == comparison.rows[0].versus.p


def test_the_table_fits_and_shows_every_number(before, after):
    lines = comparison_table(compare(before, after)).splitlines()
    assert max(map(len, lines)) <= 100
    assert lines[0] == "before -> after"
    row = next(line for line in lines if line.startswith("style=agentic-count=0"))
    assert row.split()[1:6] == ["0.97", "0.50", "-0.47", "[-0.63,", "-0.33]"]
    assert row.split()[6:8] == ["0/19", "<0.001"]


def test_no_number_of_a_comparison_is_cut_at_any_width(before, after):
    """Where the names of cases and the intervals are both long, the names fold first."""
    comparison = compare(before, after)

    def last_cells(width):
        lines = comparison_table(comparison, width=width).splitlines()
        assert max(map(len, lines)) <= width
        title = next(line for line in lines if line.startswith("case")).split()[-1]
        return title, [line.split()[-1] for line in lines if " +0.00 [" in line]

    whole = last_cells(140)
    assert whole[0] == "mde"
    for width in range(60, 140):
        title, cells = last_cells(width)
        assert title != "mde" or cells == whole[1], width
