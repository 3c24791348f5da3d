"""Lets vLLM's search for references to its Triton kernels pass by objects that it cannot look into.

Where there is no Triton for the CPU, every worker looks through the attributes of all modules for
kernels to exchange (0.32, `triton_utils/dispatcher.py`). It takes `vars(...)` of whatever claims a
`__dict__`, and llvmlite's `ffi.lib` claims every name: once numba was imported in a process, by
vLLM's own n-gram speculation or by other code, no engine could start in it.
"""

from __future__ import annotations

import builtins
import warnings
from collections.abc import Mapping
from typing import Any


def follow() -> None:
    """Let the search skip objects whose `vars` are not a mapping; only on a CPU."""
    from vllm.platforms import current_platform

    if not current_platform.is_cpu():
        return
    from vllm.triton_utils import dispatcher

    search = dispatcher._rebind_kernels  # noqa: SLF001 - what looks through the modules

    def rebind_kernels(overrides: Any) -> None:
        with warnings.catch_warnings():
            # Of attributes that are deprecated, which the search touches with all others.
            warnings.simplefilter("ignore")
            search(overrides)

    dispatcher._rebind_kernels = rebind_kernels  # noqa: SLF001 - see above
    # A global of that module's own, which its functions find before the builtin.
    dispatcher.vars = _vars


def _vars(value: Any) -> Mapping[str, Any]:
    found: Any = builtins.vars(value)
    return found if isinstance(found, Mapping) else {}
