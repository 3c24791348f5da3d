"""Whole searches on the zoo: what is pruned, what fails, what is written, what is repeated."""

from __future__ import annotations

import csv
import json
import sqlite3

import optuna
import pytest
import yaml

from harness.errors import SpecError, TaskError
from harness.report.tables.terminal import table
from harness.search.line import SearchLine
from harness.search.run import search
from harness.search.summary import summary
from tests.search.small import SPEC, write_spec
from tests.told import open_told


class Watched(SearchLine):
    """A line that remembers what it was told, and how many requests were made."""

    def __init__(self):
        import io

        super().__init__(io.StringIO(), 6)
        self.made = 0

    def update(self, counts):
        super().update(counts)
        self.made = counts.requests_done - counts.requests_stored

    @property
    def said(self):
        return self.stream.getvalue()


def run(folder, *overrides, report="out", **changes):
    line = Watched()
    spec = write_spec(folder, **changes)
    found = search(spec, overrides, folder / report, root=folder, line=line)
    return found, line


def rows(folder, report="out"):
    with (folder / report / "search" / "trials.csv").open() as file:
        return list(csv.DictReader(file))


def document(folder, name, report="out"):
    return json.loads((folder / report / "search" / name).read_text())


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("done")
    found, line = run(folder)
    return folder, found, line


def test_the_best_is_the_best_of_the_trials(done):
    folder, found, _ = done
    complete = [row for row in rows(folder) if row["state"] == "COMPLETE"]
    assert found.best.value == max(float(row["value"]) for row in complete)
    assert sum(found.trials.values()) == len(rows(folder)) == 6
    assert {check.name: check.holds for check in found.finished.invariants} == {
        "splits_are_disjoint": True,
        "best_trial_is_the_best": True,
        "best_value_is_reproduced": True,
        "neutral_equals_baseline": True,
    }
    assert document(folder, "best.json")["made_again"] == found.best.value
    assert found.problems == []


def test_what_is_reported_on_the_way_is_the_metric_of_the_samples_so_far(done):
    """Of chunks of 3, 3 and 1: a mean of the chunks' means would not be a share of samples."""
    folder, _, _ = done
    for row in rows(folder):
        if row["state"] == "COMPLETE":
            assert row["intermediate.2"] == row["value"]
        elif row["state"] == "PRUNED":
            assert (row["intermediate.2"], row["value"]) == ("", "")
        for step, samples in enumerate((3, 6, 7)):
            if row[f"intermediate.{step}"]:
                right = float(row[f"intermediate.{step}"]) * samples
                assert right == pytest.approx(round(right))


def test_the_test_samples_are_the_best_configurations_alone(done):
    folder, found, _ = done
    config, results = document(folder, "config.json"), document(folder, "results.json")
    splits = config["splits"]
    assert not set(splits["validation"]) & set(splits["test"])
    assert (len(splits["train"]), len(splits["validation"]), len(splits["test"])) == (8, 7, 5)
    cases = found.finished.report.cases
    assert len(cases) == 5
    for case in cases:
        assert case.task.size == 5
        assert results["cases"][case.id]["metric"]["n"] == 5
    asked = {
        json.loads(line)["sample"]
        for line in (folder / "out" / "samples.jsonl").read_text().splitlines()
    }
    assert asked == set(splits["test"])
    assert set(results["best_minus"]) == {"neutral dose", "control"}
    for each in results["best_minus"].values():
        assert {"delta", "ci_low", "ci_high", "p"} <= set(each)


def test_the_report_leads_with_the_metric_that_was_searched(tmp_path):
    found, _ = run(tmp_path, metric="parsed", trials=2, batch=2, pruner="none", pruner_options=None)
    report = found.finished.report
    assert {case.metric for case in report.cases} == {"parsed"}
    shown = table(report, width=200)
    assert shown.index("parsed") < shown.index("exact_match")
    assert "vector" in table(report)
    assert "random control" in table(report)


def test_a_search_goes_by_any_metric_that_the_spec_asks_for(tmp_path):
    """One that asks the untouched model, and whose number is no mean."""
    options = {"trials": 2, "batch": 2, "pruner": "none", "pruner_options": None}
    asked = ["fluency", {"kind": "length", "name": "size"}]
    found, _ = run(tmp_path, metrics=asked, direction="minimize", **options)
    assert found.metric == "fluency"
    values = [float(row["value"]) for row in rows(tmp_path)]
    assert found.best.value == min(values) > 0
    checks = {check.name: check.holds for check in found.finished.invariants}
    assert checks["best_value_is_reproduced"]
    assert all(case.metric == "fluency" for case in found.finished.report.cases)
    with pytest.raises(SpecError, match="'sizes'; did you mean size"):
        run(tmp_path, metrics=asked, metric="sizes", **options)


def test_the_best_configuration_runs_by_itself(done):
    folder, found, _ = done
    spec = yaml.safe_load((folder / "out" / "search" / "best.yaml").read_text())
    assert spec["axes"]["intervention.alpha"] == [0, found.configuration["intervention.alpha"]]
    assert (spec["task"]["only"], spec["metric"]) == ("./test.json", "exact_match")
    from harness.launch.local import run_specs

    again = run_specs(
        [folder / "out" / "search" / "best.yaml"],
        [],
        folder / "again",
        Watched(),
        "test",
        store=folder / ".titrate" / "store",
    )
    metrics = [case.metrics for case in found.finished.report.cases]
    assert [case.metrics for case in again.report.cases] == metrics


def test_everything_is_written(done):
    folder, _, _ = done
    files = {path.name for path in (folder / "out" / "search").iterdir()}
    assert {
        "config.json", "trials.csv", "study.db", "best.yaml", "best.json", "results.json",
        "test.json", "history.png", "parallel_coordinates.png", "heatmap.png",
    } <= files  # fmt: skip
    config = document(folder, "config.json")
    assert config["seeds"] == {"search": 0, "sampling": 0}
    assert {"optuna", "torch"} <= set(config["versions"])
    assert "git" in config
    with sqlite3.connect(folder / "out" / "search" / "study.db") as copy:
        assert copy.execute("select count(*) from trials").fetchone() == (6,)


def test_a_search_that_is_done_is_not_done_again(done):
    folder, found, _ = done
    before = rows(folder)
    again, line = run(folder, report="second")
    assert rows(folder, "second") == before
    assert again.best.value == found.best.value
    assert line.made == 14  # the best configuration and its baseline are made anew, nothing else
    more, _ = run(folder, report="third", trials=8)
    assert rows(folder, "third")[:6] == before
    assert sum(more.trials.values()) == 8


def test_the_same_search_elsewhere_draws_the_same(done, tmp_path):
    folder, _, _ = done
    run(tmp_path)
    same = [{**row, "seconds": "", "worker": ""} for row in rows(tmp_path)]
    assert same == [{**row, "seconds": "", "worker": ""} for row in rows(folder)]


def test_a_study_of_another_search_is_refused_at_its_line(done):
    folder, _, _ = done
    with pytest.raises(SpecError, match=r"small\.yaml:\d+ search\.storage: the study 'small' in"):
        run(folder, report="other", seed=1)
    assert not (folder / "other").exists()


def test_the_median_pruner_prunes_what_falls_behind(tmp_path):
    """Three doses of four do nothing to speak of; the other one ends with its first chunk."""
    run(
        tmp_path,
        model="zoo/oracle",
        space={"intervention.alpha": [0, 0.001, -0.001, 30]},
        trials=10,
        batch=1,
        sampler="random",
    )
    seen = [(row["params.intervention.alpha"] == "30.0", row) for row in rows(tmp_path)]
    harmless = [row for harmful, row in seen if not harmful]
    harmful = [row for harmful, row in seen if harmful]
    assert {row["state"] for row in harmless} == {"COMPLETE"}
    assert all(float(row["intermediate.0"]) > 0 for row in harmless)
    assert [row["state"] for row in harmful] == ["PRUNED"] * len(harmful)
    assert harmful
    assert {(row["intermediate.0"], row["intermediate.1"], row["value"]) for row in harmful} == {
        ("0.0", "", "")
    }


def test_the_wilcoxon_pruner_ends_a_hopeless_trial_before_its_last_chunk(tmp_path):
    """It is told single samples, chunk by chunk: three of them are never enough for a rank test at
    10 %, six are; what does nothing to speak of goes on to the end.
    """
    run(
        tmp_path,
        model="zoo/oracle",
        space={"intervention.alpha": [0, 0.001, -0.001, 30]},
        trials=10,
        batch=1,
        sampler="random",
        pruner="wilcoxon",
        pruner_options=None,
    )
    seen = [(row["params.intervention.alpha"] == "30.0", row) for row in rows(tmp_path)]
    told = [[row[f"intermediate.{place}"] for place in range(7)] for _, row in seen]
    first = next(at for at, (harmful, _) in enumerate(seen) if not harmful)
    after = [at for at, (harmful, _) in enumerate(seen) if harmful and at > first]
    assert {row["state"] for harmful, row in seen if not harmful} == {"COMPLETE"}
    assert all("" not in told[at] for at, (harmful, _) in enumerate(seen) if not harmful)
    assert after
    assert {seen[at][1]["state"] for at in after} == {"PRUNED"}
    for at in after:
        assert seen[at][1]["value"] == ""
        assert [each != "" for each in told[at]] == [True] * 6 + [False]


def test_the_engine_is_told_beforehand_whatever_trials_and_test_samples_ask(tmp_path, monkeypatch):
    """Two layers at two sites, all of which are tried; the spec itself asks for nothing."""
    opened = open_told(monkeypatch, "harness.search.run.open_engine")
    found, _ = run(
        tmp_path,
        space={
            "intervention.alpha": [1, 0],
            "intervention.layer": {"low": 0, "high": 1},
            "intervention.site": ["block", "mlp"],
        },
        trials=16,
        batch=8,
        sampler="random",
        pruner="none",
        pruner_options=None,
        sampling={"max_new_tokens": 2},
    )
    (engine,) = opened
    assert found.problems == []
    assert {row["state"] for row in rows(tmp_path)} == {"COMPLETE"}
    assert engine.declared == engine.asked
    assert set(engine.asked.steered) == {(at, site) for at in (0, 1) for site in ("block", "mlp")}


def test_the_neutral_dose_may_be_the_best(tmp_path):
    found, _ = run(tmp_path, space={"intervention.alpha": [0]}, trials=1, batch=1)
    assert found.configuration == {"intervention.alpha": 0}
    assert found.comparisons == []
    baseline, neutral = found.finished.report.cases
    assert neutral.versus_baseline["exact_match"].delta == 0
    assert neutral.metrics == baseline.metrics


# A probe's condition needs a probe's vector: each choice is possible, but not the two together.
CONDITIONED = {
    **SPEC["intervention"],
    "alpha": 1,
    "vector": {"pairs": "answers", "method": "probe"},
    "only_if": {"kind": "cosine", "threshold": 0},
}
METHOD, CONDITION = "intervention.vector.method", "intervention.only_if"
COSINE, PROBE = ({"kind": kind, "threshold": 0} for kind in ("cosine", "probe"))


def test_an_impossible_configuration_has_failed_and_has_no_value(tmp_path):
    found, _ = run(
        tmp_path,
        intervention=CONDITIONED,
        space={METHOD: ["mean", "probe"], CONDITION: [COSINE, PROBE]},
        trials=6,
        sampler="random",
        pruner="none",
        pruner_options=None,
    )
    states = {
        (row[f"params.{METHOD}"], "probe" in row[f"params.{CONDITION}"]): row
        for row in rows(tmp_path)
    }
    failed = states.pop(("mean", True))
    assert (failed["state"], failed["value"], failed["intermediate.0"]) == ("FAIL", "", "")
    assert failed["error"].startswith("intervention.only_if.kind: probe needs ")
    assert {row["state"] for row in states.values()} == {"COMPLETE"}
    assert found.trials["fail"] >= 1


def test_a_search_in_which_all_fail_says_why(tmp_path):
    with pytest.raises(
        TaskError, match=r"small came to a value: 2 failed, first: .*\.only_if\.kind"
    ):
        run(
            tmp_path,
            intervention=CONDITIONED,
            space={METHOD: ["mean"], CONDITION: [PROBE], "intervention.alpha": [1, 2]},
            trials=2,
        )


def test_a_password_is_told_to_nobody(tmp_path):
    url = "postgresql+psycopg://me:secret@127.0.0.1:1/studies"
    with pytest.raises(SpecError) as found:
        run(tmp_path, f"search.storage={url}")
    assert "cannot be opened" in str(found.value)
    assert "secret" not in str(found.value)


def test_an_interrupted_batch_is_queued_again(tmp_path, monkeypatch):
    from harness.search.evaluate import Evaluator

    whole = Evaluator.results
    calls = []

    def once(self, *arguments, **named):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return whole(self, *arguments, **named)

    monkeypatch.setattr(Evaluator, "results", once)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path)
    found, _ = run(tmp_path)
    assert [row["number"] for row in rows(tmp_path)] == list("012345")
    assert sum(found.trials.values()) == 6


def test_pairs_that_are_written_while_it_runs_reach_no_trial_and_no_test_sample(
    tmp_path, monkeypatch
):
    from harness.search.evaluate import Evaluator

    file = tmp_path / "pairs.jsonl"
    file.write_text('{"prompt": "Ann?", "positive": " Yes.", "negative": " No."}\n')
    whole = Evaluator.results

    def edited(self, *arguments, **named):
        results = whole(self, *arguments, **named)
        file.write_text(file.read_text().replace("Ann?", "Tom?"))
        return results

    monkeypatch.setattr(Evaluator, "results", edited)
    said = r"pairs\.jsonl: pair 1 was not there when the search began"
    with pytest.raises(TaskError, match=said):
        run(
            tmp_path,
            intervention={**SPEC["intervention"], "vector": {"pairs": "./pairs.jsonl"}},
            splits={**SPEC["search"]["splits"], "train": 1},
            space={"intervention.alpha": [1, 2]},
            trials=4,
            batch=2,
            pruner="none",
            pruner_options=None,
        )
    study = optuna.load_study(
        study_name="small", storage=f"sqlite:///{tmp_path}/.titrate/search/small.db"
    )
    states = [trial.state.name for trial in study.trials]
    assert states == ["COMPLETE", "COMPLETE", "FAIL", "FAIL"]
    assert not (tmp_path / "out").exists()


def test_what_the_spec_gives_cause_for_is_said_once_before_the_trials(tmp_path):
    found, line = run(tmp_path, space={"intervention.alpha": [1]}, trials=1, batch=1)
    warning = "the neutral dose 0 is not in the space"
    assert line.said.count(warning) == 1
    assert line.said.index(warning) < line.said.index("1/1 trials")
    assert warning not in summary(found)
    assert warning in document(tmp_path, "results.json")["warnings"][0]


def test_the_best_keeps_what_the_search_is_subject_to(tmp_path):
    """Trials beyond the bound may have more of the metric; the best is never one of them."""
    bound = "cut <= 0.5"  # strong doses talk until the limit
    space = {"intervention.alpha": [0.0, 40.0, 80.0], "intervention.layer": [0, 1]}
    found, line = run(
        tmp_path, subject_to=[bound], space=space, metric="cut", pruner="none", pruner_options={}
    )
    broken = [row for row in rows(tmp_path) if float(row[f"beyond.{bound}"]) > 0]
    assert 0 < len(broken) < len(rows(tmp_path))
    assert found.best.value <= 0.5 < max(float(row["value"]) for row in broken)
    assert f"{len(broken)} beyond subject_to" in line.said
    assert found.problems == []


def test_the_best_dose_is_looked_for_inside_the_window(tmp_path):
    """Doses that cost more than the data exclude are none, however much they do."""
    safe = "bmdl-safe(parsed, 0.5)"
    space = {"intervention.alpha": [0.0, 40.0, 80.0], "intervention.layer": [0, 1]}
    goal = {"maximize": "cut", "subject_to": safe}
    found, _ = run(
        tmp_path, goal=goal, metric=None, space=space, pruner="wilcoxon", pruner_options={}
    )
    ended = [row for row in rows(tmp_path) if row[f"beyond.{safe}"]]
    broken = [row for row in ended if float(row[f"beyond.{safe}"]) > 0]
    assert 0 < len(broken) < len(ended)
    assert found.metric == "cut"
    assert found.best.number not in {int(row["number"]) for row in broken}
    assert found.problems == []


@pytest.mark.parametrize(
    ("goal", "complaint"),
    [
        ({"maximize": "parsed", "subject_to": "parsed >= 1"}, "write bmdl-safe"),
        ({"maximize": "parsed", "subject_to": "bmdl-safe(parsed, 0)"}, "is no loss"),
        ({"subject_to": "bmdl-safe(parsed)"}, "give maximize or minimize"),
        ({"maximize": "cut", "subject_to": "bmdl-safe(parsed, 1)"}, "never changes by so much"),
        ({"maximize": "cut", "subject_to": "bmdl-safe(cost)"}, "has no metric 'cost'"),
    ],
)
def test_a_goal_that_is_none_is_refused(tmp_path, goal, complaint):
    with pytest.raises(SpecError, match=complaint):
        run(tmp_path, goal=goal, metric=None)


def test_a_condition_that_no_trial_keeps_is_told(tmp_path):
    with pytest.raises(TaskError, match=r"none of 2 complete trials of small keeps parsed >= 1\.5"):
        run(
            tmp_path,
            subject_to=["parsed >= 1.5"],
            trials=2,
            batch=2,
            pruner="none",
            pruner_options={},
        )


@pytest.mark.parametrize(
    ("bound", "complaint"),
    [
        ("parsed == 1", "is no bound of a trial; write METRIC <= NUMBER"),
        ("parsed >= 1 where baseline", "is no bound of a trial"),
        ("monotone within CI", "is no bound of a trial"),
        ("parsd >= 1", r"subject_to\[0\]: micro_gsm8k has no metric 'parsd'; did you mean parsed"),
    ],
)
def test_a_condition_that_is_none_is_refused_before_anything_is_loaded(tmp_path, bound, complaint):
    with pytest.raises(SpecError, match=complaint):
        run(tmp_path, subject_to=[bound])


def test_trials_may_ask_another_model(tmp_path):
    """How often and for how much an oracle is asked, and at most so much of it."""
    found, _ = run(
        tmp_path,
        intervention={"kind": "oracle", "model": "zoo/oracle", "trigger": "first_n", "budget": 0},
        sampling={"max_new_tokens": 16},
        metrics=["oracle_share"],
        space={"intervention.budget": [0, 1], "intervention.length": [2, 8]},
        subject_to=["oracle_share <= 0.4"],
        splits={"validation": 4, "test": 3},
        trials=4,
        batch=2,
        chunk=4,
        pruner="none",
        pruner_options={},
    )
    assert found.trials["fail"] == 0
    with_help = [row for row in rows(tmp_path) if row["params.intervention.budget"] == "1"]
    beyond = {
        row["params.intervention.length"]: float(row["beyond.oracle_share <= 0.4"])
        for row in with_help
    }
    assert beyond
    assert all((excess > 0) == (length == "8") for length, excess in beyond.items())
