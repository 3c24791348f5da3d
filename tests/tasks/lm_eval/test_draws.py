"""Several answers to a document are judged together, as lm-eval does, and each for itself."""

from __future__ import annotations

import pytest

from harness.measure.lm_eval_documents import asked_of
from harness.models.loading import load_tokenizer
from harness.report.draws.drawn import of_records
from harness.resolve.tasks import task_of
from harness.spec import Experiment, expand
from harness.tasks.lm_eval import counting
from tests.tasks.lm_eval import local


@pytest.fixture(scope="module")
def tasks(tmp_path_factory):
    return local.write(tmp_path_factory.mktemp("tasks"))


def experiment_of(path, **spec):
    plain = {"name": "draws", "model": "zoo/base", "task": {"lm_eval": str(path), "limit": 2}}
    return Experiment.model_validate(plain | spec)


def task_from(path):
    return task_of(experiment_of(path).task)


def test_ranks_are_logged_where_a_spec_asks_for_them(tasks):
    for columns in ([], ["rank"]):
        (case,) = expand(experiment_of(tasks["text_repeats"], columns=columns))
        task = task_of(case.experiment.task)
        asked = asked_of(load_tokenizer("zoo/base"), case, task, task.samples[0]).asked
        assert [request.logged for request in asked] == [bool(columns)] * 3


@pytest.mark.parametrize("name", ["text_repeats", "text"])
def test_each_answer_is_counted_as_if_all_had_been_like_it(name, tasks):
    task = task_from(tasks[name])
    asked = {sample.id: task.asked(sample, None, "", None) for sample in task.samples}
    right = {
        sample.id: task.loaded.tasks[sample.id.rpartition("/")[0]].doc_to_target(sample.record)
        for sample in task.samples
    }
    said = {
        sample: [[f"The answer is {target}.", "It is 999.", f"So: {target}."]]
        for sample, target in right.items()
    }
    outcome = counting.outcome(task, asked, said)
    if name == "text":  # no filter reads an answer, and all of a text must be the target
        said = {sample: [[target, "999", target]] for sample, target in right.items()}
        outcome = counting.outcome(task, asked, said)
    for sample, target in right.items():
        scores = outcome.verdicts[sample]
        assert [score.correct for score in scores] == [True, False, True]
        assert [score.answer for score in scores] == [str(target), "999", str(target)]
    if name == "text_repeats":
        by_vote, *_ = outcome.values.values()
        assert by_vote == dict.fromkeys(right, 1)
    records = [
        {"case": "c", "sample": sample, "correct": each.correct, "answer": each.answer, "tokens": 1}
        for sample in right
        for each in outcome.verdicts[sample]
    ]
    for samples in of_records(records).values():
        assert {each.orders.at_draws("vote", 3) for each in samples.values()} == {1.0}
