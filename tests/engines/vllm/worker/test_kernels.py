"""An engine starts in a process that has imported anything at all."""

from __future__ import annotations

import builtins

import pytest

from harness.engines.vllm.worker import kernels


def test_vllms_search_for_kernels_passes_by_what_claims_every_name(vllm_installed, monkeypatch):
    pytest.importorskip("llvmlite.binding")
    from vllm.triton_utils import dispatcher

    class Owner:
        """What the search is for: an object that holds a kernel."""

    kernel, other = object(), object()
    owner = Owner()
    owner.kernel = kernel
    monkeypatch.setattr(kernels, "OWNER", owner, raising=False)
    monkeypatch.setattr(dispatcher, "vars", builtins.vars, raising=False)
    monkeypatch.setattr(dispatcher, "_rebind_kernels", dispatcher._rebind_kernels)
    kernels.follow()
    dispatcher._rebind_kernels([(kernel, other)])
    assert owner.kernel is other
