"""In which style a sample reaches a model; `prompt.style` of a spec says what each of them is."""

from __future__ import annotations

from typing import Literal, get_args

Style = Literal["assisted", "agentic", "completion"]
STYLES: tuple[Style, ...] = get_args(Style)
