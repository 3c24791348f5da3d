"""A spec file in the working directory, and the line that a wrong one is refused with."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import SpecError
from harness.spec import load

SPEC = """\
name: x
model: zoo/moe
task:
  name: micro_humaneval
intervention:
  kind: router_mask
  points: {usage: avg_last_agentic}
  count: 0
axes:
  intervention.count:
    - 0
    - 4
  seed: [0, 1]
dose: intervention.count
"""


def write(text: str | bytes, name: str = "x.yaml") -> str:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return name


def message(text: str | bytes, *overrides: str) -> str:
    with pytest.raises(SpecError) as error:
        load(write(text), overrides)
    assert "\n" not in str(error.value)
    return str(error.value)
