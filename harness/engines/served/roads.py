"""Which road leads to a server, by the name that a spec gives it."""

from __future__ import annotations

from typing import Any

from harness.engines.served.chat import ChatRoad, byte_tokenizer
from harness.engines.served.road import Known, Road
from harness.engines.served.text import TextRoad
from harness.engines.served.tokens import TokensRoad
from harness.models.loading import load_tokenizer
from harness.spec.experiment import EngineSettings


def road_to(model: str, name: str, settings: EngineSettings, longest: int | None) -> Road:
    """The road of an engine's settings to a model that the server calls `name`."""
    if settings.road == "chat":
        return ChatRoad(name)
    known = Known.of(model, longest)
    return TextRoad(name, known) if settings.road == "text" else TokensRoad(name, known)


def tokenizer(model: str, settings: EngineSettings) -> Any:
    """The tokenizer whose ids go that road."""
    return byte_tokenizer() if settings.road == "chat" else load_tokenizer(model)
