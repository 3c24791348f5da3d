from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import FieldError, TaskError
from harness.search.splits import chunks, pair_contents, sample_contents, split
from harness.spec.search import SplitSettings
from harness.tasks.base import Sample
from harness.tasks.contrast import answer_pairs, style_pairs
from harness.tasks.micro_gsm8k import MicroGSM8K
from harness.tasks.micro_humaneval import MicroHumanEval

TASK = MicroGSM8K.load()


def sizes(validation, test, train=None):
    return SplitSettings(train=train, validation=validation, test=test)


def asked(task, numbers, prefix="S"):
    """A task of the problems with these numbers, which may repeat."""
    samples = tuple(
        Sample(f"{prefix}/{place}", TASK.samples[number].record)
        for place, number in enumerate(numbers)
    )
    return replace(task, samples=samples)


def worked(numbers):
    """Pairs made of evaluation problems: what must never be trained on."""
    records = [TASK.samples[number].record for number in numbers]
    return answer_pairs([(each["question"], each["answer"]) for each in records], "assisted")


def questions(task):
    return {sample.record["question"] for sample in task.samples}


numbers = st.lists(st.integers(0, 30), min_size=2, max_size=25)


@given(numbers, st.lists(st.integers(0, 30), max_size=5), st.integers(0, 3), st.data())
def test_no_text_is_in_two_splits(evaluated, trained, seed, data):
    free = len(set(evaluated) - set(trained))
    if free < 2:
        return
    validation = data.draw(st.integers(1, free - 1))
    task, pairs = asked(TASK, evaluated), worked(trained)
    found = split(task, pairs, sizes(validation, free - validation), seed)
    one, other = questions(found.validation), questions(found.test)
    assert (len(one), len(other)) == (validation, free - validation)
    assert not one & other
    assert not (one | other) & {TASK.samples[number].record["question"] for number in trained}
    assert found.left_out == len(evaluated) - free


@given(st.permutations(list(range(20))), st.integers(0, 3))
def test_splits_do_not_depend_on_the_order_or_the_ids_of_the_data(order, seed):
    found = split(asked(TASK, order, "other"), [], sizes(8, 8), seed)
    usual = split(asked(TASK, range(20)), [], sizes(8, 8), seed)
    assert questions(found.validation) == questions(usual.validation)
    assert questions(found.test) == questions(usual.test)
    assert found.digest == usual.digest


def test_another_seed_deals_otherwise():
    first, other = (split(TASK, [], sizes(40, 40), seed) for seed in (0, 1))
    assert questions(first.test) != questions(other.test)
    assert first.digest != other.digest


@pytest.mark.parametrize("style", ["assisted", "agentic", "completion"])
def test_a_trained_problem_is_found_in_every_style(style):
    record = TASK.samples[3].record
    (pair,) = answer_pairs([(record["question"], record["answer"])], style)
    assert pair_contents([pair]) & sample_contents(TASK)["MicroGSM8K/3"]
    assert not pair_contents([pair]) & sample_contents(TASK)["MicroGSM8K/4"]


def test_a_trained_function_is_found():
    task = MicroHumanEval.load()
    (pair,) = style_pairs([task.samples[5].record["prompt"]], code=True)
    found = [
        sample for sample, texts in sample_contents(task).items() if texts & pair_contents([pair])
    ]
    assert found == [task.samples[5].id]


def test_built_in_pairs_share_nothing_with_the_evaluation():
    from harness.resolve.contrast_pairs import pairs_for
    from harness.spec import Experiment

    spec = {
        "name": "x",
        "model": "zoo/base",
        "task": {"name": "micro_gsm8k"},
        "intervention": {
            "kind": "steering", "vector": {"pairs": "answers"}, "layer": 0, "alpha": 0,
        },
    }  # fmt: skip
    experiment = Experiment.model_validate(spec)
    pairs = pairs_for(experiment, experiment.intervention.vector)
    assert split(TASK, pairs, sizes(82, 82), 0).left_out == 0


def test_too_few_samples_are_counted():
    with pytest.raises(FieldError) as found:
        split(asked(TASK, [0, 1, 1, 2, 3]), worked([0]), sizes(2, 2), 0)
    assert str(found.value) == (
        "search.splits: 2 validation and 2 test samples asked for, but there are 3 of micro_gsm8k, "
        "2 of whose 5 are in train or there twice; ask for fewer"
    )


def test_data_of_one_text_alone_is_one_sample():
    with pytest.raises(FieldError, match="there are 1 of micro_gsm8k, 2 of whose 3 are in train"):
        split(asked(TASK, [4, 4, 4]), [], sizes(1, 1), 0)


def test_a_text_in_two_splits_is_told():
    found = split(TASK, [], sizes(5, 5), 0)
    leaky = replace(found, contents={**found.contents, "train": found.contents["test"]})
    with pytest.raises(
        TaskError, match=r"texts are in both the train and the test split, such as the one with"
    ):
        leaky.check()


def test_chunks_are_the_whole_in_order():
    parts = chunks(asked(TASK, range(7)), 3)
    assert [part.size for part in parts] == [3, 3, 1]
    assert [each.id for part in parts for each in part.samples] == [f"S/{n}" for n in range(7)]
