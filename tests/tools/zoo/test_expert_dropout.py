from dataclasses import replace

import pytest
import torch

from tools.zoo import expert_dropout as module
from tools.zoo.expert_dropout import expert_dropout
from tools.zoo.recipes import MOE
from tools.zoo.training import build


@pytest.fixture(scope="module")
def model(tokenizer):
    small = {**MOE.architecture, "num_hidden_layers": 2, "hidden_size": 32, "head_dim": 8}
    return build(replace(MOE, architecture=small), tokenizer).eval()


def logits(model, **options):
    ids = torch.arange(24).view(4, 6)
    options = {"row_share": 1.0, "most_hidden": 0.9, **options}
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad(), expert_dropout(model, 4, generator=generator, **options):
        return model(input_ids=ids).logits


def changed_rows(some, others):
    """Renormalising by a sum of one may round: only more than that is a change."""
    return ((some - others).abs() > 1e-4).flatten(1).any(1)


def test_no_dropout_changes_nothing_and_hooks_are_removed(model):
    plain = logits(model, row_share=0.0)
    torch.testing.assert_close(logits(model, most_hidden=0.0), plain)
    assert changed_rows(logits(model), plain).all()
    assert torch.equal(logits(model, row_share=0.0), plain)


def test_only_some_rows_are_affected(model):
    plain = logits(model, row_share=0.0)
    changed = changed_rows(logits(model, row_share=0.5), plain)
    assert changed.any()
    assert not changed.all()


def test_survivors_are_renormalised_and_a_token_without_survivor_keeps_its_experts():
    hidden = torch.tensor([[True, False, True, False]])
    chosen = torch.tensor([[0, 1], [1, 3], [2, 0]])
    weights = torch.tensor([[0.7, 0.3], [0.6, 0.4], [0.9, 0.1]])
    _, kept, same = module._hide(hidden)(None, None, (None, weights, chosen))
    assert same is chosen
    torch.testing.assert_close(kept, torch.tensor([[0.0, 1.0], [0.6, 0.4], [0.9, 0.1]]))
