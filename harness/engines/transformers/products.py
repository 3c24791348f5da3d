"""Products with a model's weights on a CPU, laid out once for oneDNN's kernels.

torch multiplies float32 matrices by MKL, which keeps its fastest kernels for its own maker's
processors: on an AMD EPYC it reached 107 GFLOP/s where oneDNN reached 250 (docs/performance.md). In
bfloat16 both are oneDNN, which without this lays every weight out anew in every product.

The model's own weights stay, since others read them: what is laid out is a second copy. Where
memory is too short for that, every product lays its weight out for itself, with the same result.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from types import MethodType
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import psutil
import torch
from torch import nn

# A call costs 10 us more than torch's own, which products with smaller weights do not earn back.
_SMALLEST = 2**16
# Share of the free memory that second copies may take.
_MEMORY_SHARE = 0.5


class _Layout(NamedTuple):
    """A laid out weight, and which weight it is of: its place in memory and its version."""

    weight: torch.Tensor
    of: tuple[int, int]


_layouts: WeakKeyDictionary[nn.Module, _Layout] = WeakKeyDictionary()


@contextmanager
def packed_products(model: Any) -> Iterator[None]:
    """Inside, linear modules multiply by their laid out weights; afterwards as before."""
    modules = [each for each in model.modules() if _pays(each) and "forward" not in vars(each)]
    new = sum(module.weight.nbytes for module in modules if module not in _layouts)
    fitting = not new or new <= _MEMORY_SHARE * psutil.virtual_memory().available
    for module in modules:
        weight = _laid_out(module) if fitting else module.weight
        module.forward = _Product(module, weight)
    try:
        yield
    finally:
        for module in modules:
            del module.forward


def products_implementation(model: Any) -> str:
    """By what a model's products are made: by oneDNN, or by what torch itself chooses."""
    return "onednn" if any(map(_pays, model.modules())) else "torch"


class _Product:
    """Inputs [..., K] times a weight [N, K], in either layout, and the module's bias: [..., N]."""

    def __init__(self, module: Any, weight: torch.Tensor) -> None:
        self._module = module
        self._weight = weight

    def __call__(self, inputs: torch.Tensor) -> torch.Tensor:
        product: torch.Tensor = torch.ops.mkldnn._linear_pointwise.default(  # noqa: SLF001
            inputs, self._weight, self._module.bias, "none", [], ""
        )
        return product

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        """A copy of a model, made while it runs, multiplies as torch does."""
        return MethodType(nn.Linear.forward, deepcopy(self._module, memo))


def _pays(module: Any) -> bool:
    """Whether a module is a plain product on a CPU, large enough, in a type that oneDNN has."""
    # Subclasses hold quantised weights; a forward of a module's own is another library's.
    forward = vars(module).get("forward")
    if type(module) is not nn.Linear or not (forward is None or isinstance(forward, _Product)):
        return False
    weight = module.weight
    if weight.device.type != "cpu" or weight.numel() < _SMALLEST:
        return False
    if weight.dtype == torch.bfloat16:
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())  # noqa: SLF001
    available = bool(torch.backends.mkldnn.is_available())  # type: ignore[no-untyped-call]
    return available and weight.dtype == torch.float32


def _laid_out(module: Any) -> torch.Tensor:
    """A module's weight in oneDNN's layout, made anew when the weight has changed."""
    weight = module.weight
    of = weight.data_ptr(), 0 if weight.is_inference() else weight._version  # noqa: SLF001
    known = _layouts.get(module)
    if known is None or known.of != of:
        laid = torch.ops.mkldnn._reorder_linear_weight(weight.detach(), None)  # noqa: SLF001
        known = _layouts[module] = _Layout(laid, of)
    return known.weight
