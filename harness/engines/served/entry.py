"""`engine.name: served`: a server that speaks OpenAI's protocol; imports nothing of a client."""

from __future__ import annotations

from harness.spec.engine_kind import EngineKind

ENGINE = EngineKind(
    "served",
    "a server that speaks OpenAI's protocol, asked over HTTP (docs/served.md)",
    settings=frozenset(
        {
            "base_url",
            "api_key_env",
            "served_model",
            "road",
            "concurrency",
            "timeout",
            "retries",
            "token_limit",
        }
    ),
    mechanisms=frozenset({"guidance"}),
    captures=frozenset(),
    open="harness.engines.served.engine:opened",
    check="harness.engines.served.checks:check_settings",
    fits="harness.engines.served.checks:check_experiment",
    tokens="harness.engines.served.roads:tokenizer",
    inputs="harness.engines.served.identity:inputs",
    stands="harness.engines.served.identity:stands",
)
