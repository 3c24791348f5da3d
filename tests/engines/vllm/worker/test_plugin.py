"""The plugin sees every model of its processes, and takes up those that our engine asked for."""

from __future__ import annotations

from types import SimpleNamespace
from weakref import WeakKeyDictionary

import pytest
from torch import nn

from harness.engines.vllm.worker import plugin


@pytest.mark.parametrize(
    ("additional", "taken"),
    [(None, False), ({}, False), ({"somebody": 1}, False), ({"titrate": {"rows": 1}}, True)],
)
def test_a_model_that_our_engine_did_not_ask_for_is_left_alone(
    vllm_installed, monkeypatch, additional, taken
):
    from vllm.model_executor.model_loader import base_loader
    from vllm.model_executor.model_loader.base_loader import BaseModelLoader

    given = []
    monkeypatch.setattr(base_loader, "initialize_model", base_loader.initialize_model)
    monkeypatch.setattr(plugin, "MODELS", WeakKeyDictionary())
    monkeypatch.setattr(plugin, "ModelInterventions", lambda *arguments: given.append(arguments))
    monkeypatch.setattr(
        BaseModelLoader, "load_model", lambda self, config, model, prefix="": nn.Linear(2, 2)
    )
    plugin._follow_loading()
    config = SimpleNamespace(additional_config=additional, model_config=object())
    model = BaseModelLoader.load_model(None, config, config.model_config)
    draft = BaseModelLoader.load_model(None, config, object())  # a second model, which drafts
    assert given == ([(model, config, {"rows": 1})] if taken else [])
    assert (model in plugin.MODELS) == taken
    assert draft not in plugin.MODELS
