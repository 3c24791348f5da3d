import pytest
import torch

from tools.zoo.muon import Muon, orthogonalise


@pytest.mark.parametrize("shape", [(8, 8), (24, 8), (8, 24), (3, 16, 8)])
def test_singular_values_come_close_to_one(shape):
    torch.manual_seed(0)
    values = torch.linalg.svdvals(orthogonalise(torch.randn(shape)))
    assert values.min() > 0.4
    assert values.max() < 1.4


def test_a_stack_is_orthogonalised_matrix_by_matrix():
    torch.manual_seed(0)
    stack = torch.randn(5, 12, 6) * torch.logspace(-2, 2, 5)[:, None, None]
    one_by_one = torch.stack([orthogonalise(matrix) for matrix in stack])
    torch.testing.assert_close(orthogonalise(stack), one_by_one)


def test_steps_go_downhill_and_parameters_without_gradient_stay():
    torch.manual_seed(0)
    weight = torch.nn.Parameter(torch.randn(2, 6, 4))
    idle = torch.nn.Parameter(torch.ones(2, 2))
    target = torch.randn(2, 6, 4)
    optimizer = Muon([weight, idle], learning_rate=0.1)
    losses = []
    for _ in range(60):
        loss = (weight - target).square().mean()
        weight.grad = None
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 4
    assert torch.equal(idle, torch.ones(2, 2))


def test_closures_are_refused():
    with pytest.raises(NotImplementedError, match="closure"):
        Muon([torch.nn.Parameter(torch.ones(2, 2))], learning_rate=0.1).step(lambda: 0.0)
