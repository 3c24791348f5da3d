"""Shards of real cases, with results by hand: joined like a single run, or refused in one line."""

from __future__ import annotations

import json
import random
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from harness.claims.claims import Claims
from harness.errors import ReportError
from harness.invariants.finding import CheckName
from harness.report.build import build
from harness.report.load import RECORDS, load_report
from harness.report.run_info import RunInfo
from harness.report.write import write
from harness.runs.conclude import conclude
from harness.runs.execute import without_completions
from harness.runs.merge import joined, merge
from harness.runs.shard import Shard
from harness.spec import expand
from harness.store.records import read_records
from harness.store.results import InvariantResult
from tests.runs.small import cases, experiment, result_of

AXES = {"intervention.count": [0, 1, 2, 30], "prompt.style": ["assisted", "agentic"]}
STARTED = datetime(2026, 1, 1, 12, tzinfo=UTC)


def results(asked):
    """Every case and its baseline, each with texts of its own."""
    draw = random.Random(0)
    texts = {case.id: [(draw.randint(0, 1), 2), (3,)] for case in cases("small", axes=AXES)}
    return [
        result_of(result.case, texts.get(result.case.id, [(0, 2), (3,)]), nodeid=result.nodeid)
        for result in without_completions(asked, "incomplete", "")
    ]


def run_info(index: int, **fields) -> RunInfo:
    content = {
        "id": f"run{index}",
        "started": STARTED + timedelta(hours=index),
        "finished": STARTED + timedelta(hours=index + 1),
        "command": f"pytest benches --titrate-shard {index}/2",
        "versions": {"torch": "2.13.0"},
        "determinism": {"dtype": "float32", "fingerprint of zoo/moe": "a" * 64},
    }
    return RunInfo(**(content | fields))


@pytest.fixture
def write_shard(tmp_path):
    """Write the report of one shard; `fields` go into its run."""

    def written(index, *, of=2, asked=None, change=lambda each: each, name=None, laws=(), **fields):
        asked = asked or cases("small", axes=AXES)
        own = [change(each) for each in results(Shard(index, of).own(asked)[0])]
        shard = Shard(index, of).description((case.case for case in asked), laws)
        directory = tmp_path / (name or f"shard{index}")
        write(build(run_info(index, **{"shard": shard} | fields), own), own, directory)
        return directory

    return written


@pytest.mark.parametrize("of", [1, 2, 3])
def test_shards_joined_in_any_order_are_the_results_of_a_single_run(write_shard, of):
    shards = [write_shard(index, of=of) for index in range(1, of + 1)]
    expected = joined([write_shard(1, of=1, name="whole")])[1]
    assert [result.case.id for result in expected] == [
        result.case.id for result in results(cases("small", axes=AXES))
    ]
    assert joined(shards)[1] == expected
    assert joined(shards[::-1])[1] == expected


def test_the_joined_run_lasts_from_the_first_start_to_the_last_end(write_shard):
    run, _ = joined([write_shard(2), write_shard(1)])
    assert (run.started, run.finished) == (
        STARTED + timedelta(hours=1),
        STARTED + timedelta(hours=3),
    )
    assert run.command == "pytest benches --titrate-shard 2/2; pytest benches --titrate-shard 1/2"
    assert run.shard is None


def test_cases_are_compared_with_the_one_baseline_that_stays(write_shard):
    """One model, whose styles are in both shards when there are more shards than styles."""
    asked = cases("small", axes={"intervention.count": [0, 1]})
    first = write_shard(1, asked=asked)

    def other_baseline(result):
        if result.baseline is not None:
            return result
        return result_of(result.case, [(0, 9), (3,)])

    second = write_shard(2, asked=asked, change=other_baseline)
    _, (baseline, one, other) = joined([first, second])
    reference = [draw.completion.tokens for draw in baseline.draws]
    assert reference == [(0, 2), (3,)]
    for result in (one, other):
        for draw, tokens in zip(result.draws, reference, strict=True):
            assert (draw.agreement == len(tokens)) == (draw.completion.tokens == tokens)


def test_a_complete_baseline_is_preferred_to_one_that_failed(write_shard):
    asked = cases("small", axes={"intervention.count": [0, 1]})

    def broken(result):
        failed = replace(result, status="failed", error="boom", draws=(), sample_metrics={})
        return failed if result.baseline is None else result

    shards = [write_shard(1, asked=asked, change=broken), write_shard(2, asked=asked)]
    assert joined(shards)[1][0].status == "complete"


def refused(directories, message):
    with pytest.raises(ReportError) as error:
        joined(directories)
    assert "\n" not in str(error.value)
    assert re.search(message, str(error.value)), str(error.value)


def test_the_same_shard_twice(write_shard):
    refused(
        [write_shard(1), write_shard(1, name="again")],
        r"again: is shard 1/2, and so is .*shard1; give every shard once",
    )


def test_a_missing_shard(write_shard):
    refused([write_shard(1)], r"shard 2/2 is missing; run it with --titrate-shard 2/2, and give")


def test_shards_of_different_splits(write_shard):
    refused(
        [write_shard(1), write_shard(2, of=3)],
        r"shard2: is one of 3 shards, which is another split \(2\) than .*shard1; run both",
    )


@pytest.mark.parametrize(
    "other",
    [
        cases("small", axes=AXES, sampling={"max_new_tokens": 25}),
        cases("small", axes=AXES | {"intervention.count": [0, 1, 2, 31]}),
        cases("other", axes=AXES),
        cases("small", axes=AXES)[:-1],
    ],
    ids=["settings", "axes", "name", "selection"],
)
def test_shards_of_different_specs(write_shard, other):
    refused(
        [write_shard(1), write_shard(2, asked=other)],
        r"shard2: was made from other specs or options than .*shard1; run both shards with the",
    )


def test_shards_of_different_models(write_shard):
    other = {"dtype": "float32", "fingerprint of zoo/moe": "b" * 64}
    refused(
        [write_shard(1), write_shard(2, determinism=other)],
        r"shard2: was made on another model or engine \(fingerprint of zoo/moe: bbbbbbbbbbbb..., "
        r"not aaaaaaaaaaaa...\) than .*shard1; run one of them again where both are the same",
    )
    other["dtype"] = "bfloat16"
    refused(
        [write_shard(1), write_shard(2, determinism=other)], r"\(dtype: bfloat16, not float32\)"
    )


def test_shards_of_different_versions(write_shard):
    refused(
        [write_shard(1), write_shard(2, versions={"torch": "2.14.0"})],
        r"shard2: was made with another torch \(2.14.0, not 2.13.0\) than .*shard1; install",
    )
    refused([write_shard(1), write_shard(2, versions={})], r"another torch \(None, not 2.13.0\)")


def test_the_report_of_a_whole_run(write_shard):
    refused([write_shard(1), write_shard(2, shard=None)], r"shard2: is the report of a whole run; ")


def test_a_report_of_another_schema(write_shard):
    report = write_shard(2) / "report.json"
    report.write_text(report.read_text().replace('"schema": 1', '"schema": 2'))
    refused([write_shard(1), report.parent], r"shard2.report.json: schema 2 cannot be read; ")


def test_a_report_without_its_records(write_shard):
    second = write_shard(2)
    (second / RECORDS).unlink()
    refused([write_shard(1), second], r"shard2.records.jsonl: cannot be read: No such file")


def test_a_report_whose_records_are_torn(write_shard):
    records = write_shard(2) / RECORDS
    records.write_bytes(records.read_bytes()[:-9])
    refused([write_shard(1), records.parent], r"records.jsonl: the record at byte \d+ is torn")


def test_records_that_lack_a_case(write_shard):
    second = write_shard(2)
    lines = (second / RECORDS).read_bytes().splitlines(keepends=True)
    (second / RECORDS).write_bytes(b"".join(lines[:-1]))
    refused([write_shard(1), second], r"^small\[.*\]: no shard has a record of this case; run its")


def test_nothing_is_written_over_a_shard_or_when_something_is_refused(write_shard, tmp_path):
    first, second = write_shard(1), write_shard(2)
    with pytest.raises(ReportError, match=r"shard2: is one of the shards' reports; choose another"):
        merge([first, second], second)
    with pytest.raises(ReportError, match=r"shard 2/2 is missing"):
        merge([first], tmp_path / "whole")
    assert not (tmp_path / "whole").exists()


def test_gates_are_judged_again_from_the_records(write_shard, tmp_path):
    """No shard decides a gate of an experiment that it has a part of; all of them do."""
    asked = cases("small", axes=AXES, gates=["neutral_equals_baseline"])

    def neutral(result):
        same = result.case.params.get("intervention.count") in {0, None}
        return result_of(result.case, [(0, 2), (3,)], nodeid=result.nodeid) if same else result

    shards = [write_shard(index, asked=asked, change=neutral) for index in (1, 2)]
    assert [load_report(shard).gates for shard in shards] == [(), ()]
    (gate,) = merge(shards, tmp_path / "whole").report.gates
    assert (gate.gate, gate.holds) == ("neutral_equals_baseline", True)


def concluded(directory, findings=(), gates=()):
    """The same shard's report, of a run that has checked identities and has gates of its own."""
    report = load_report(directory)
    own = list(read_records(directory / RECORDS))
    return conclude(report.run, own, directory, findings, Claims.read(gates))


def test_gates_of_the_command_line_are_left_to_the_whole(write_shard, tmp_path):
    """Each part alone would decide them otherwise: half of the doses, or one style."""
    gate, other = "pass@1 >= 0 where style=agentic", "pass@1 >= 1"

    def scored(result):
        return replace(result, sample_metrics={"pass@1": {"s/0": 1.0, "s/1": 0.0}})

    shards = [write_shard(index, change=scored) for index in (1, 2)]
    for shard in shards:
        finished = concluded(shard, gates=[gate, other])
        assert finished.gates == []
        assert not [problem for problem in finished.problems if problem.startswith("gate ")]
        assert finished.verdicts[-1] == (
            "2 gates of the command line left undecided: titrate merge judges the whole run"
        )
        assert load_report(shard).run.shard.gates == (gate, other)
    first, second = merge(shards, tmp_path / "whole").report.gates
    assert [(each.gate, each.holds) for each in (first, second)] == [
        (gate, True),
        (other, False),
    ], first
    whole = concluded(
        write_shard(1, of=1, change=scored, shard=None, name="single"), gates=[gate, other]
    )
    assert whole.report.gates == (first, second)


LAWS = [CheckName(name, case) for case in ("tiny, fast", "tiny, strict") for name in ("one", "two")]


def test_identities_of_all_shards_are_in_the_order_of_a_single_run(write_shard, tmp_path):
    shards = [write_shard(index, laws=LAWS) for index in (2, 1)]
    found = [InvariantResult(*law, holds=True, detail="ok") for law in LAWS]
    concluded(shards[0], findings=found[2:])
    concluded(shards[1], findings=found[:2])
    assert merge(shards, tmp_path / "whole").invariants[-4:] == found


def test_an_identity_that_no_shard_has_checked(write_shard, tmp_path):
    shards = [write_shard(index, laws=LAWS) for index in (1, 2)]
    for shard in shards:
        concluded(
            shard, findings=[InvariantResult(*law, holds=True, detail="") for law in LAWS[1:]]
        )
    with pytest.raises(ReportError, match="one: no shard has checked this on tiny, fast; run its"):
        merge(shards, tmp_path / "whole")


def test_shards_of_different_identities(write_shard):
    refused(
        [write_shard(1, laws=LAWS), write_shard(2, laws=LAWS[1:])],
        r"shard2: was made from other specs or options than .*shard1; run both shards with the",
    )


def test_identities_that_shards_checked_on_models_are_in_the_joined_report(write_shard, tmp_path):
    shards = [write_shard(1), write_shard(2)]
    report = json.loads((shards[1] / "report.json").read_text("utf-8"))
    finding = {"name": "law", "case": "tiny, fast", "holds": False, "detail": "", "departure": None}
    report["invariants"].append(finding)
    (shards[1] / "report.json").write_text(json.dumps(report), "utf-8")
    finished = merge(shards, tmp_path / "whole")
    assert finished.report.invariants[-1].model_dump() == finding
    assert "law is violated by tiny, fast: " in finished.problems


def test_the_folders_of_specs_and_models_may_differ_between_machines():
    def selection(folder):
        fields = {"task": {"name": "humaneval", "path": f"{folder}/problems.jsonl"}}
        return chosen(expand(experiment(model=f"{folder}/model", **fields)))

    def chosen(cases):
        return Shard(1, 1).description(cases)["selection"]

    assert selection("/home/a") == selection("/mnt/b/c")
    assert selection("/home/a") != chosen(expand(experiment()))
