"""`engine.name: transformers`: the models of transformers in this process, on any device."""

from __future__ import annotations

from harness.spec.engine_kind import EngineKind

ENGINE = EngineKind(
    "transformers",
    "transformers' models in this process, with every capture and kind of intervention",
    settings=frozenset(
        {"dtype", "slots", "columns", "device", "device_map", "drafts", "determinism"}
    ),
    mechanisms=frozenset(
        {
            "router_logits",
            "residual",
            "hidden_states",
            "next_token_logits",
            "policy",
            "guidance",
            "adapted_weights",
        }
    ),
    captures=frozenset({"router_logits", "hidden", "logits"}),
    tells=frozenset({"attention", "hidden"}),
    open="harness.engines.transformers.opening:opened",
    check="harness.engines.transformers.machine:check_machine",
    onto="harness.engines.transformers.opening:engine_on",
)
