"""`engine.name: transformers`: the models of transformers in this process, on any device."""

from __future__ import annotations

from harness.spec.engine_kind import EngineKind

ENGINE = EngineKind(
    "transformers",
    "transformers' models in this process, with every capture and kind of intervention",
    settings=frozenset(
        {"dtype", "slots", "columns", "device", "device_map", "drafts", "determinism"}
    ),
    captures=frozenset(
        {"router_logits", "hidden", "attention", "token_log_probabilities", "top_log_probabilities"}
    ),
    in_process=True,
    open="harness.engines.transformers.opening:opened",
    check="harness.engines.transformers.machine:check_machine",
)
