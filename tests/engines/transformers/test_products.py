"""Laid out weights multiply as torch does, and leave a model as it was."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from harness.engines.transformers import products
from harness.engines.transformers.products import packed_products, products_implementation


def net(width: int = 512, dtype: torch.dtype = torch.float32) -> nn.Module:
    torch.manual_seed(0)
    layers = nn.Linear(width, 2 * width), nn.Linear(2 * width, width, bias=False), nn.Linear(8, 8)
    return nn.ModuleList(layers).to(dtype).eval()


def through(model: nn.Module, inputs: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        return model[1](model[0](inputs))


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 2e-2)], ids=["f32", "bf16"]
)
@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (128, 1), (2, 257)])
def test_products_are_those_of_torch(dtype, tolerance, shape):
    model = net(dtype=dtype)
    inputs = torch.randn(*shape, 512, dtype=dtype)
    expected = through(model, inputs)
    with packed_products(model):
        assert "forward" in vars(model[0])
        assert "forward" not in vars(model[2])  # too small to pay
        found = through(model, inputs)
        turned = through(model, inputs.transpose(0, 1)).transpose(0, 1)
    assert found.dtype == dtype
    assert (found - expected).norm() <= tolerance * expected.norm()
    assert torch.equal(turned, found)
    assert torch.equal(through(model, inputs), expected)


def test_a_row_is_what_it_is_in_any_company():
    model, inputs = net(), torch.randn(64, 1, 512)
    with packed_products(model):
        together = through(model, inputs)
        for rows in (2, 7, 33):
            assert torch.allclose(through(model, inputs[:rows]), together[:rows], atol=1e-6)


def test_a_changed_weight_is_laid_out_anew():
    model, inputs = net(), torch.randn(4, 1, 512)
    with packed_products(model):
        through(model, inputs)
    with torch.no_grad():
        model[0].weight.mul_(2)
    model[1].weight.data = model[1].weight.data.flip(0)
    expected = through(model, inputs)
    with packed_products(model):
        assert torch.allclose(through(model, inputs), expected, atol=1e-4)


def test_hooks_see_packed_products_too():
    model, seen = net(), []
    model[0].register_forward_hook(lambda _module, _inputs, output: seen.append(output))
    with packed_products(model):
        through(model, torch.randn(4, 1, 512))
    assert seen[0].shape == (4, 1, 1024)


def test_what_is_no_plain_product_is_left_alone():
    class Quantised(nn.Linear):
        pass

    wrapped, odd, large = nn.Linear(512, 512), Quantised(512, 512), nn.Linear(512, 512).double()
    wrapped.forward = wrapped.forward
    model = nn.ModuleList([wrapped, odd, large])
    assert products_implementation(model) == "torch"
    with packed_products(model):
        assert "forward" in vars(wrapped)
        assert not any("forward" in vars(module) for module in (odd, large))
    assert "forward" in vars(wrapped)


def test_without_memory_for_a_second_copy_the_result_is_the_same(monkeypatch):
    model, inputs = net(), torch.randn(64, 1, 512)
    without = copy.deepcopy(model)
    assert products_implementation(model) == "onednn"
    with packed_products(model):
        expected = through(model, inputs)
    monkeypatch.setattr(products, "_MEMORY_SHARE", 0.0)
    with packed_products(without):
        assert torch.equal(through(without, inputs), expected)
    assert without[0] not in products._layouts
    assert products_implementation(without) == "onednn"


def test_a_model_that_runs_is_copied_and_told_as_one_that_does_not():
    """Whoever stops to read an engine's answers has a model in the middle of a run."""
    model, inputs = net(), torch.randn(3, 5, 512)
    expected = through(model, inputs)
    with packed_products(model):
        copied = copy.deepcopy(model)
        assert products_implementation(model) == "onednn"
        with packed_products(model):
            within = through(model, inputs)
        assert torch.equal(through(model, inputs), within)
    assert torch.equal(through(copied, inputs), expected)
    with torch.no_grad():
        copied[0].weight.zero_()
    assert torch.equal(through(model, inputs), expected)
    assert not torch.equal(through(copied, inputs), expected)
