"""Triton's own interpreter instead of a GPU, so that vLLM's V2 runner runs where there is none.

Its code and its kernels are the real ones; only what a GPU would compile is interpreted by Python.
The process is started with `TRITON_INTERPRET=1`, which Triton reads when it is imported, and calls
this before it imports vLLM.
"""

from __future__ import annotations


def interpret_triton() -> None:
    """Let vLLM find a Triton that can run on this CPU."""
    from triton.backends import Backend, backends

    backends["cpu"] = Backend(compiler=None, driver=_Driver)


class _Driver:
    """All that vLLM asks of a backend's driver; Triton asks nothing of it while it interprets."""

    @staticmethod
    def is_active() -> bool:
        return True
