"""An engine whose process is killed while it generates; prints what those who ask are told."""

from __future__ import annotations

import sys

import psutil

from harness.engines.contract import Capture, Reading, Request
from harness.engines.vllm.engine import VllmEngine
from harness.errors import ModelError
from harness.spec import EngineSettings


def main() -> None:
    engine = VllmEngine("zoo/moe", EngineSettings(name="vllm", slots=4, separate_process=True))
    stream = engine.generate([Request((5, 6, 7), 2), *[Request((5, 6, 7), 1500)] * 8])
    next(stream)
    (core,) = [
        child for child in psutil.Process().children() if "EngineCore" in "".join(child.cmdline())
    ]
    core.kill()
    for name, asked in (
        ("generate", stream),
        ("forward", engine.forward([Reading((5, 6, 7), Capture(token_log_probabilities=True))])),
    ):
        try:
            list(asked)
        except ModelError as error:
            sys.stdout.write(f"{name}: {str(error).partition(',')[0]}\n")


if __name__ == "__main__":
    main()
