from dataclasses import replace

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from harness.models import zoo
from harness.tasks.by_name import load
from tools.zoo.evaluation import LONGEST_ANSWER, STYLES, accuracy, greedy_answers


@pytest.fixture(scope="module")
def moe():
    folder = zoo.resolve("moe")
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    return model, AutoTokenizer.from_pretrained(folder)


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("name", ["micro_humaneval", "micro_gsm8k"])
def test_the_card_says_what_is_measured_again(moe, name, style):
    # Another machine may round differently and flip a problem or two of the 164.
    expected = zoo.card("moe")["accuracy"][name][style]
    assert accuracy(*moe, load(name), style) == pytest.approx(expected, abs=0.02)


def test_answers_do_not_depend_on_their_neighbours_in_a_batch(moe):
    task = load("micro_gsm8k", limit=6)
    together = greedy_answers(*moe, task, "assisted")
    alone = [
        greedy_answers(*moe, replace(task, samples=(sample,)), "assisted")[0]
        for sample in task.samples
    ]
    assert alone == together


@pytest.mark.parametrize("name", ["micro_humaneval", "micro_gsm8k"])
def test_every_reference_fits_the_longest_answer(moe, name):
    _, tokenizer = moe
    task = load(name)
    for sample in task.samples:
        assert len(tokenizer(task.reference(sample).text)["input_ids"]) < LONGEST_ANSWER
