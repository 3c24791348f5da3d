"""Classes of transformers that vLLM has changed for itself, made usable again for all other code.

Architectures without code of its own vLLM (0.32) runs through transformers' own modules, whose
class it decorates for compilation, in place: from then on no instance can be made in this process
but by vLLM, and a transformers engine beside it would fail with an `AssertionError`.
"""

from __future__ import annotations

import inspect
from typing import Any

from torch import nn

_DECORATORS = "vllm.compilation.decorators"


def release(model: nn.Module) -> None:
    """Let the classes of a model's modules be made again without vLLM; vLLM's use is unchanged."""
    for kind in {type(module) for module in model.modules()}:
        # vLLM derives classes of its own from transformers' and decorates what is underneath.
        for each in kind.__mro__:
            made = vars(each).get("__init__")
            if each.__module__.startswith("transformers.") and made is not None:
                _release(each, made)


def _release(kind: Any, decorated: Any) -> None:
    if getattr(decorated, "__module__", None) != _DECORATORS:
        return
    original = inspect.getclosurevars(decorated).nonlocals["old_init"]

    def init(self: Any, *arguments: Any, **named: Any) -> None:
        from vllm.config import get_current_vllm_config_or_none

        if "vllm_config" in named or get_current_vllm_config_or_none() is not None:
            decorated(self, *arguments, **named)
            return
        original(self, *arguments, **named)
        self.do_not_compile = True  # which vLLM's `__call__` asks of every instance

    kind.__init__ = init
