"""Whole runs on zoo/moe and copies of it: reports, models in memory, and what fails alone."""

from __future__ import annotations

import gc
import json
import shutil
import signal
from datetime import UTC, datetime
from pathlib import Path

import pytest

import harness
import harness.resolve.router_mask
import harness.runs.session
from harness.errors import OptionError, SpecError, TitrateError
from harness.launch.local import run_specs
from harness.models import zoo
from harness.report.write import default_directory
from harness.resolve.progress import Silent
from harness.runs.checks import planned
from harness.runs.session import Session
from harness.spec import Experiment, expand
from harness.store.folder import RunFolder
from tests.told import open_told

SPEC = """\
name: small
model: zoo/moe
task: {name: micro_humaneval, limit: 2}
intervention: {kind: router_mask, points: {random: 0}, count: 0}
sampling: {max_new_tokens: 8}
axes:
  intervention.count: [0, 30]
dose: intervention.count
gates: [neutral_equals_baseline]
"""


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """Runs write where they stand."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def spec(here):
    path = here / "small.yaml"
    path.write_text(SPEC)
    return path


def experiment(**fields) -> Experiment:
    content = {
        "name": "small",
        "model": "zoo/moe",
        "task": {"name": "micro_humaneval", "limit": 2},
        "intervention": {"kind": "router_mask", "points": {"random": 0}, "count": 0},
        "sampling": {"max_new_tokens": 8},
        "axes": {"intervention.count": [0, 30]},
        "dose": "intervention.count",
        "gates": ["neutral_equals_baseline"],
    }
    return Experiment.model_validate(content | fields)


def cases(**fields):
    return [planned(case) for case in expand(experiment(**fields))]


def copy_of_moe(folder: Path) -> str:
    """Of other content, or what is stored for the one would be found for the other."""
    shutil.copytree(zoo.resolve("moe"), folder)
    (folder / "copy.txt").write_text(folder.name)
    return str(folder)


def broken_copy(folder: Path) -> str:
    """A checkpoint whose configuration reads well and whose weights end too early."""
    copy_of_moe(folder)
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    return str(folder)


def models_in_memory() -> int:
    gc.collect()
    return sum(type(each).__name__ == "Qwen3MoeForCausalLM" for each in gc.get_objects())


def statuses(report) -> dict[str, str]:
    return {case.id: case.status for case in report.cases}


COMPLETE = {
    "small[baseline]": "complete",
    "small[count=0]": "complete",
    "small[count=30]": "complete",
}


# What a run leaves --------------------------------------------------------------------------------


def test_a_spec_file_and_an_experiment_are_run_alike(spec):
    from_file, from_python = harness.run(spec).report, harness.run(experiment()).report
    assert statuses(from_file) == statuses(from_python) == COMPLETE
    for one, other in zip(from_file.cases, from_python.cases, strict=True):
        assert one.metrics == other.metrics
        assert one.agreement == other.agreement
        assert one.counts == other.counts
        assert one.tokens == other.tokens


def test_a_run_that_holds_no_completion_writes_the_same_report(spec, here, monkeypatch):
    """Replies are read from the store, draws from the run's records."""
    harness.run(spec, directory=here / "made")
    harness.run(spec, directory=here / "held")
    for name in ("waiting", "session"):
        monkeypatch.setattr(f"harness.runs.{name}.HELD", 0)
    harness.run(spec, directory=here / "read")
    for name in ("samples.jsonl", "records.jsonl", "cases.csv"):
        assert (here / "read" / name).read_bytes() == (here / "held" / name).read_bytes()


def test_the_written_report_is_the_returned_one(spec, here):
    done = harness.run(spec, directory="out")
    assert harness.load_report("out") == done
    report = done.report
    assert sorted(path.name for path in (here / "out").iterdir()) == [
        "cases.csv",
        "index.html",
        "plots",
        "records.jsonl",
        "report.json",
        "samples.jsonl",
    ]
    assert report.run.command == "harness.run"
    assert report.run.started <= report.run.finished
    assert report.run.determinism["engine"] == "transformers"
    assert [check.holds for check in report.invariants] == [True]
    assert [gate.holds for gate in report.gates] == [True]
    assert all(case.nodeid is None for case in report.cases)


def test_a_run_is_judged_and_kept_as_on_the_command_line(spec, here):
    report = harness.run(spec, gates=["pass@1 >= 0"], save="before").report
    assert [gate.gate for gate in report.gates] == ["neutral_equals_baseline", "pass@1 >= 0"]
    assert [path.name for path in (here / ".titrate" / "saved").glob("*.json")] == [
        "0001_before.json"
    ]
    same = harness.run(spec, compare="before", compare_fail=["pass@1: different"]).report
    assert same.gates[-1].gate == "compare 0001_before: pass@1: different"
    with pytest.raises(TitrateError, match=r"gate pass@1 == 0.123 of small failed: .*report: "):
        harness.run(spec, gates=["pass@1 == 0.123"])


def test_overrides_are_those_of_the_command_line(spec):
    report = harness.run(spec, overrides=["task.limit=1", "intervention.count=0"]).report
    assert {case.task.size for case in report.cases} == {1}
    assert "small[count=30]" not in statuses(report)


def test_overrides_of_an_experiment_are_refused_instead_of_ignored():
    with pytest.raises(OptionError, match=r"task\.limit=1: overrides are for spec files"):
        harness.run(experiment(), overrides=["task.limit=1"])


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"experiment": 3}, "experiment=3: expected an Experiment or a spec's path"),
        ({"experiment": {"name": "x"}}, "experiment={'name': 'x'}: expected an Experiment or"),
        ({"overrides": "task.limit=2"}, "overrides='task.limit=2': expected a list of 'field=val"),
        ({"overrides": [2]}, "overrides=[2]: expected a list of 'field=value'"),
        ({"gates": "monotone"}, "gates='monotone': expected a list of claims"),
        ({"compare_fail": {"a"}}, "compare_fail={'a'}: expected a list of rules"),
        ({"save": 7}, "save=7: expected a name"),
        ({"compare": 7}, "compare=7: expected a saved run's name, a file or a directory"),
        ({"directory": 5}, "directory=5: expected a path"),
        ({"store": b"x"}, "store=b'x': expected a path"),
    ],
)
def test_arguments_of_a_wrong_kind_are_refused_by_name(spec, given, told):
    with pytest.raises(OptionError) as refused:
        harness.run(**{"experiment": spec} | given)
    assert str(refused.value).startswith(told)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"compare_fail": ["pass@1: worse"]}, "compare_fail='pass@1: worse': nothing to compare"),
        ({"gates": ["bogus"]}, "gates='bogus' is not a gate; accepted: "),
        ({"overrides": ["sed=1"]}, "overrides=sed=1: no such field; did you mean seed?"),
        ({"limit": 999}, "limit=999: 999 samples asked for, but "),
        ({"shard": "3/2"}, "shard=3/2: there is no such shard; use 1/2 to 2/2"),
        ({"select": "neither"}, "select='neither': selects none of "),
        ({"fresh": "yes"}, "fresh='yes': expected "),
    ],
)
def test_what_cannot_be_followed_is_named_as_the_argument_that_it_was(spec, given, told):
    with pytest.raises(TitrateError) as refused:
        harness.run(spec, **given)
    assert str(refused.value).startswith(told)


def test_every_run_has_a_folder_of_its_own(spec, here):
    for _ in range(3):
        run_specs([spec], ["intervention.count=0"], None, Silent(), "test")
    folders = list((here / "reports").iterdir())
    assert len(folders) == 3
    assert all((folder / "report.json").is_file() for folder in folders)


def test_a_directory_is_never_an_old_one(tmp_path):
    started = datetime(2026, 1, 31, 14, 25, tzinfo=UTC)
    seen = []
    for _ in range(4):
        seen.append(default_directory(tmp_path, started))
        seen[-1].mkdir(parents=True)
    first = seen[0].name
    assert first == f"{started.astimezone():%Y%m%d-%H%M%S}"
    assert [path.name for path in seen] == [first, f"{first}-2", f"{first}-3", f"{first}-4"]


def test_a_violated_invariant_is_raised_after_the_report_is_written(spec, monkeypatch, here):
    original = harness.resolve.router_mask.mask_of

    def off_by_thirty(settings, ordering, shape):
        return original(settings.model_copy(update={"count": 30}), ordering, shape)

    monkeypatch.setattr(harness.resolve.router_mask, "mask_of", off_by_thirty)
    with pytest.raises(TitrateError, match="neutral_equals_baseline is violated by small"):
        harness.run(spec, overrides=["intervention.count=0"], directory="out")
    document = json.loads((here / "out" / "report.json").read_text())
    assert [check["holds"] for check in document["invariants"]] == [False]


def test_unmet_requirements_leave_cases_out_by_name(spec):
    needy = experiment(name="needy", requires={"gpu_memory_gib": 9999.0})
    finished = run_specs([spec, needy], [], "out", Silent(), "test")
    assert statuses(finished.report) == COMPLETE
    assert [text.split(" requires ")[0] for text in finished.skipped] == [
        "needy[count=0]",
        "needy[count=30]",
    ]


# Cases of several specs ---------------------------------------------------------------------------


def test_the_same_spec_twice_is_run_once(spec):
    finished = run_specs([spec, spec], [], "out", Silent(), "test")
    assert statuses(finished.report) == COMPLETE


@pytest.mark.parametrize(
    ("fields", "id_"),
    [
        ({}, "small[count=0]"),
        ({"axes": {"intervention.count": [4]}}, "small[baseline]"),
    ],
    ids=["cases", "baselines"],
)
def test_two_different_experiments_of_one_id_are_refused(fields, id_):
    """Also where only the baselines meet: the one would be compared with the other's."""
    session = Session()
    other = cases(task={"name": "micro_humaneval", "limit": 1}, gates=[], **fields)
    with pytest.raises(SpecError) as error:
        session.plan([*cases(), *other])
    assert str(error.value).startswith(f"{id_}: two different experiments have this id; ")


# Models -------------------------------------------------------------------------------------------


class Watcher(Silent):
    """Counts the models in memory whenever one is about to be loaded."""

    def __init__(self):
        self.before = models_in_memory()
        self.notes = []
        self.models = []
        self.closed = 0

    def note(self, text):
        self.notes.append(text)
        self.models.append(models_in_memory() - self.before)

    def close(self):
        self.closed += 1


def test_every_model_is_loaded_once_and_closed_before_the_next(here):
    copies = [copy_of_moe(here / name) for name in ("one", "two")]
    watcher = Watcher()
    several = experiment(axes={"model": ["zoo/moe", *copies], "intervention.count": [0, 30]})
    finished = run_specs([several], [], "out", watcher, "test")
    assert set(statuses(finished.report).values()) == {"complete"}
    assert watcher.notes == [f"loading {model}" for model in ("zoo/moe", *copies)]
    assert watcher.models == [0, 0, 0]
    assert models_in_memory() == watcher.before
    assert watcher.closed == 1


def test_a_model_stays_while_one_of_its_cases_waits(here):
    copy = copy_of_moe(here / "one")
    asked = cases(axes={"model": ["zoo/moe", copy], "intervention.count": [0, 30]})
    session = Session()
    session.plan(asked)
    for case in (asked[0], asked[2], asked[1], asked[3]):  # the models take turns
        assert session.outcome(case).status == "complete"
    assert session.counts.loads == 2
    session.close()
    session.close()


def test_a_model_that_cannot_be_loaded_fails_its_cases_only(here):
    broken = broken_copy(here / "broken")
    watcher = Watcher()
    both = experiment(axes={"model": [broken, "zoo/moe"], "intervention.count": [0, 30]})
    finished = run_specs([both], [], "out", watcher, "test")
    by_model = {
        model: {case.status for case in finished.report.cases if case.model == model}
        for model in ("./broken", "zoo/moe")
    }
    assert by_model == {"./broken": {"failed"}, "zoo/moe": {"complete"}}
    assert len(finished.failed) == 3
    assert watcher.notes.count(f"loading {broken}") == 1
    (error,) = {case.error for case in finished.report.cases if case.status == "failed"}
    assert error.startswith("model './broken' cannot be loaded: ")


def test_without_any_model_there_is_no_report(here):
    broken = broken_copy(here / "broken")
    with pytest.raises(TitrateError, match="cannot be loaded"):
        harness.run(experiment(model=broken))
    assert not (here / "reports").exists()


def test_a_measurement_that_breaks_is_not_tried_again_for_every_case(monkeypatch):
    def measure(*arguments):
        raise MemoryError("no room")

    monkeypatch.setattr(harness.resolve.router_mask, "usage_scores", measure)
    watcher = Watcher()
    usage = {"kind": "router_mask", "points": {"usage": "avg_all_agentic"}, "count": 0}
    with pytest.raises(MemoryError, match="no room"):
        run_specs([experiment(intervention=usage)], [], "out", watcher, "test")
    assert watcher.notes.count("loading zoo/moe") == 1
    assert set(statuses(harness.load_report("out").report).values()) == {"failed"}


def test_a_measurement_that_breaks_gives_the_models_memory_back(monkeypatch):
    def measure(*arguments):
        raise MemoryError("no room")

    monkeypatch.setattr(harness.resolve.router_mask, "usage_scores", measure)
    usage = {"kind": "router_mask", "points": {"usage": "avg_all_agentic"}, "count": 0}
    (case, _) = asked = cases(intervention=usage)
    session = Session()
    session.plan(asked)
    before = models_in_memory()
    with pytest.raises(MemoryError):
        session.outcome(case)
    assert models_in_memory() == before
    assert session.counts.cases_done == 2


# Ends before the end ------------------------------------------------------------------------------


class Interrupts(Silent):
    def __init__(self, after):
        self.after = after

    def update(self, counts):
        if counts.requests_done == self.after:
            raise KeyboardInterrupt


@pytest.mark.parametrize("fresh", [False, True])
def test_an_interrupted_run_reports_what_is_there(spec, fresh):
    with pytest.raises(KeyboardInterrupt) as interrupt:
        harness.run(spec, directory="out", progress=Interrupts(after=3), fresh=fresh)
    (note,) = interrupt.value.__notes__
    command = "the same command, but not fresh," if fresh else "the same command"
    assert note == f"report: out; {command} goes on: what is stored is not made again"
    found = statuses(harness.load_report("out").report)
    assert found["small[baseline]"] == "complete"
    assert found["small[count=30]"] == "incomplete"


def test_an_interrupt_while_a_case_is_recorded_waits_for_its_end(spec, monkeypatch):
    recorded, add = [], RunFolder.add

    def interrupted(folder, result):
        signal.raise_signal(signal.SIGINT)
        add(folder, result)
        recorded.append(result.case.id)

    monkeypatch.setattr(RunFolder, "add", interrupted)
    with pytest.raises(KeyboardInterrupt):
        harness.run(spec, directory="out")
    assert len(recorded) == 1
    assert statuses(harness.load_report("out").report)[recorded[0]] == "complete"


def test_an_interrupt_before_anything_is_finished_says_how_to_go_on(spec, here):
    class Loading(Silent):
        def note(self, text):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as interrupt:
        harness.run(spec, directory="out", progress=Loading())
    (note,) = interrupt.value.__notes__
    assert (
        note == "no report was written; the same command goes on: what is stored is not made again"
    )
    assert not (here / "out").exists()


@pytest.mark.parametrize("times", [1, 2])
def test_an_interrupt_while_the_report_is_written_waits_unless_somebody_insists(
    spec, here, monkeypatch, times
):
    def interrupted(*arguments):
        for _ in range(times):
            signal.raise_signal(signal.SIGINT)
        return conclude(*arguments)

    conclude = harness.runs.session.conclude
    monkeypatch.setattr(harness.runs.session, "conclude", interrupted)
    with pytest.raises(KeyboardInterrupt) as interrupt:
        harness.run(spec, directory="out")
    (note,) = interrupt.value.__notes__
    assert note.endswith("; the same command goes on: what is stored is not made again")
    assert note.startswith("report: out" if times == 1 else "no report was written")
    assert (here / "out" / "report.json").exists() == (times == 1)


def test_an_engine_that_breaks_leaves_a_report_and_its_own_error(spec, monkeypatch):
    opened = harness.runs.session.open_engine

    def fragile(model, settings, needs):
        engine = opened(model, settings, needs)
        generate = engine.generate

        def baselines_only(requests):
            if any(request.intervention is not None for request in requests):
                raise MemoryError("no room")
            return generate(requests)

        engine.generate = baselines_only
        return engine

    monkeypatch.setattr(harness.runs.session, "open_engine", fragile)
    with pytest.raises(MemoryError, match="no room") as error:
        harness.run(spec, directory="out")
    assert error.value.__notes__ == ["The report of what was finished: out"]
    report = harness.load_report("out").report
    assert statuses(report) == {
        "small[baseline]": "complete",
        "small[count=0]": "failed",
        "small[count=30]": "failed",
    }
    assert report.cases[-1].error == "the engine broke: MemoryError: no room"


STEERED = """\
name: steered
model: zoo/moe
task: {name: micro_humaneval, limit: 2}
intervention: {kind: steering, vector: {pairs: styles, samples: 2}, layer: 2, alpha: 0}
sampling: {max_new_tokens: 4}
axes:
  intervention.alpha: [0, 1]
  intervention.site: [block, mlp]
"""


def test_the_engine_is_told_beforehand_whatever_all_cases_ask(here, monkeypatch):
    opened = open_told(monkeypatch, "harness.runs.session.open_engine")
    (here / "steered.yaml").write_text(STEERED)
    report = harness.run("steered.yaml", directory="out").report
    assert set(statuses(report).values()) == {"complete"}
    (engine,) = opened
    assert engine.declared == engine.asked
    assert set(engine.asked.steered) == {(2, "block"), (2, "mlp")}
