from dataclasses import replace

import pytest
import torch

from tools.zoo.recipes import BASE, MOE
from tools.zoo.training import train

SHORT = {"steps": 12, "tokens_per_batch": 600, "warm_up_steps": 3}


def run(recipe, tokenizer):
    losses = []
    model = train(recipe, tokenizer, lambda step: losses.append(step.target_loss))
    return model, losses


@pytest.mark.parametrize("recipe", [MOE, BASE], ids=lambda recipe: recipe.name)
def test_training_is_reproducible_bit_for_bit_and_learns(recipe, tokenizer):
    short = replace(recipe, **SHORT)
    first, losses = run(short, tokenizer)
    second, again = run(short, tokenizer)
    assert losses == again
    assert losses[-1] < losses[0] - 1
    weights = second.state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in first.state_dict().items())
    assert not first.training


def test_another_seed_is_another_model(tokenizer):
    short = replace(BASE, **{**SHORT, "steps": 2})
    _, losses = run(short, tokenizer)
    _, others = run(replace(short, seed=99), tokenizer)
    assert losses != others


def test_progress_counts_steps_and_tokens_and_threads_are_given_back(tokenizer):
    before = torch.get_num_threads()
    steps = []
    train(replace(BASE, **{**SHORT, "steps": 3}), tokenizer, steps.append)
    assert [(step.number, step.of) for step in steps] == [(1, 3), (2, 3), (3, 3)]
    assert 0 < steps[0].tokens < steps[1].tokens < steps[2].tokens
    assert torch.get_num_threads() == before
