"""Equal answers are judged once, in a run and in later ones, and never where anything differs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from harness import sandbox
from harness.store.completions import CompletionStore, shards
from harness.store.verdicts import Verdicts, score_from, score_json
from harness.tasks.base import Sample, Score
from harness.tasks.code import CodeTask
from harness.tasks.gsm8k import GSM8K
from harness.tasks.humaneval import HumanEval
from harness.tasks.maths import MathsTask
from harness.tasks.micro_gsm8k import MicroGSM8K
from harness.tasks.micro_humaneval import MicroHumanEval
from tests.runs.small import cases, run_on

SAMPLES = tuple(
    Sample(f"s/{index}", {"question": "?", "answer": f"#### {index}"}) for index in (1, 2)
)


@dataclass(frozen=True, eq=False)
class Counted(MathsTask):
    """A scorer that notes what it was asked; "perhaps" it is not sure of."""

    asked: list[tuple[str, str, str]] = field(default_factory=list)
    strict: bool = True

    name = "counted"
    version = 1

    @property
    def conditions(self):
        return {"strict": self.strict}

    def score(self, answers):
        self.asked.extend((sample.id, style, text) for sample, style, text in answers)
        made = super().score(answers)
        return [
            replace(score, settled=text != "perhaps")
            for score, (_, _, text) in zip(made, answers, strict=True)
        ]


class Heir(Counted):
    """Another scorer that does not say which version of it this is."""


class Newer(Counted):
    version = 2


def answers(*texts: str, style="assisted", samples: Sequence[Sample] = SAMPLES):
    return [(sample, style, text) for sample in samples for text in texts]


def asked_again(store: Path, task: Counted, asked, **options) -> int:
    """How many answers a later run's scorer is asked for; what it says is what was said."""
    kept = CompletionStore(store, **options)
    scores = Verdicts(kept).score(task, asked)
    kept.close()
    number = len(task.asked)
    assert scores == task.score(asked)
    return number


@pytest.fixture
def store(tmp_path) -> Path:
    """A store in which six answers to two samples were judged."""
    assert asked_again(tmp_path / "store", Counted(SAMPLES), answers("1", "2", "no")) == 6
    return tmp_path / "store"


def test_equal_answers_of_a_sample_are_judged_once_and_in_order():
    task, verdicts = Counted(SAMPLES), Verdicts()
    scores = verdicts.score(task, answers("1", "2", "1", "1"))
    assert [score.correct for score in scores] == [
        True,
        False,
        True,
        True,
        False,
        True,
        False,
        False,
    ]
    assert task.asked == [("s/1", "assisted", "1"), ("s/1", "assisted", "2"),
                          ("s/2", "assisted", "1"), ("s/2", "assisted", "2")]  # fmt: skip
    assert verdicts.score(task, answers("2", "3"))[0] == scores[1]
    assert task.asked[4:] == [("s/1", "assisted", "3"), ("s/2", "assisted", "3")]


def test_a_later_run_judges_nothing_again(store):
    assert asked_again(store, Counted(SAMPLES), answers("no", "2", "1", "2")) == 0


@pytest.mark.parametrize(
    ("task", "changes"),
    [
        (Newer(SAMPLES), {}),
        (Counted(SAMPLES, strict=False), {}),
        (Counted(SAMPLES), {"style": "agentic"}),
        (Counted(SAMPLES), {"samples": [Sample("s/1", {"question": "?", "answer": "#### 2"})]}),
        (Counted(SAMPLES), {"samples": [Sample("s/3", SAMPLES[0].record)]}),
    ],
    ids=["version", "conditions", "style", "record", "sample"],
)
def test_what_differs_in_anything_is_judged_anew(store, task, changes):
    asked = answers("1", "2", **changes)
    assert asked_again(store, task, asked) == len(asked)


def test_a_fresh_run_judges_anew_and_keeps_what_it_found(store):
    assert asked_again(store, Counted(SAMPLES), answers("1", "1"), fresh=True) == 2


def test_a_class_that_states_no_version_is_judged_anew_by_every_run(store):
    for _ in range(2):
        assert asked_again(store, Heir(SAMPLES), answers("1", "1")) == 2


def test_an_unsettled_verdict_holds_for_its_run_and_is_not_kept(tmp_path):
    for _ in range(2):
        task, kept = Counted(SAMPLES), CompletionStore(tmp_path / "store")
        verdicts = Verdicts(kept)
        verdicts.score(task, answers("perhaps", "perhaps"))
        verdicts.score(task, answers("perhaps"))
        assert len(task.asked) == 2
        kept.close()


def test_damaged_verdicts_are_judged_anew(store):
    (shard,) = shards(store)
    content = shard.read_bytes()
    shard.write_bytes(content.replace(b"expected", b"expectee"))  # four of six; two say "no number"
    assert asked_again(store, Counted(SAMPLES), answers("1", "2", "no")) == 4
    assert asked_again(store, Counted(SAMPLES), answers("1", "2", "no")) == 0


@pytest.mark.parametrize(
    "value", [None, {}, [], [True, True, "x"], [1, True, "x", False], [True, True, None, False]]
)
def test_what_is_no_verdict_is_not_taken_for_one(value):
    with pytest.raises(ValueError):
        score_from(value)


def test_a_score_comes_back_as_it_was():
    score = Score(correct=True, parsed=False, detail="why", tool_call=True, answer="7")
    assert score_from(score_json(score)) == score
    assert score_from(score_json(score)).answer == "7"
    assert score_from(score_json(score)[:4]).answer is None  # of an earlier version


def test_a_store_that_cannot_be_written_is_read_and_costs_nothing(store, tmp_path):
    (tmp_path / "file").touch()
    nowhere = CompletionStore(tmp_path / "file" / "store")
    task = Counted(SAMPLES)
    assert [score.correct for score in Verdicts(nowhere).score(task, answers("1"))] == [True, False]


PROGRAM = Sample(
    "p",
    {"prompt": "def f():\n", "test": "def check(f):\n    assert f() == 1\n", "entry_point": "f"},
)


class Code(CodeTask):
    name = "code"
    version = 1


def test_code_is_told_apart_by_its_text_and_isolation_not_by_its_chat_style():
    isolated = Code((PROGRAM,), isolation=sandbox.Isolation(sandbox.Level.NAMESPACES, ("a", "b")))
    plain = replace(isolated, isolation=sandbox.Isolation(sandbox.Level.PROCESS, ("process",)))
    assert isolated.conditions != plain.conditions

    def judged(text, style="assisted"):
        return isolated.judged(PROGRAM, style, text)

    assert judged("return 1") == judged("return 1", "agentic") != judged("return 2")
    assert judged("return 1") != judged("return 1", "completion")  # which is code as it stands


def test_kept_verdicts_are_those_of_the_sandbox(tmp_path):
    texts = ["return 1", "return 2", "return 1 +", "raise SystemExit", "return 1", ""]
    task = Code((PROGRAM,)).scored_here(unsafe_code=False)
    asked = answers(*texts, samples=[PROGRAM])
    right = task.score(asked)
    for _ in range(2):
        kept = CompletionStore(tmp_path)
        assert Verdicts(kept).score(task, asked) == right
        kept.close()
    assert len(CompletionStore(tmp_path)) == 4  # one that exited is asked again


def test_a_stored_run_judges_nothing(tmp_path, engine, monkeypatch):
    asked = cases(axes={"intervention.count": [0, 30]})

    def results():
        kept = CompletionStore(tmp_path)
        run = run_on(engine, asked, store=kept)
        found = [run.result(case) for case in asked]
        kept.close()
        return [[draw.score for draw in result.draws] for result in found]

    judged = results()
    monkeypatch.setattr(CodeTask, "score", None)
    assert results() == judged


def test_verdicts_of_an_older_reader_are_not_found(store, monkeypatch):
    """A task that states its own version has its base's way to read answers."""
    monkeypatch.setattr(MathsTask, "version", MathsTask.version + 1)
    assert asked_again(store, Counted(SAMPLES), answers("1", "2", "no")) == 6


@pytest.mark.parametrize("task", [HumanEval, MicroHumanEval, GSM8K, MicroGSM8K])
def test_no_task_has_a_version_older_than_its_reader(task):
    assert task.version >= max(vars(base).get("version", 0) for base in task.__mro__)
