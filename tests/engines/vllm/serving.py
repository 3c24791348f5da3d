"""vLLM's own OpenAI-compatible server on loopback, in a process of its own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

from harness.models.reference import locate

KEY = "sk-loopback"
_SERVER = "vllm.entrypoints.openai.api_server"


@contextmanager
def serving(model: str, longest: int, log: Path) -> Iterator[str]:
    """Serve a model with room for so many tokens of a sequence; the address of its API."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "TORCH_COMPILE_DISABLE": "1",
        "VLLM_NO_USAGE_STATS": "1",
        "HF_HUB_OFFLINE": "1",
        "VLLM_LOGGING_LEVEL": "WARNING",
        # vLLM's own, whatever an engine of this process has set before.
        "VLLM_USE_V2_MODEL_RUNNER": "0",
        "VLLM_ENABLE_V1_MULTIPROCESSING": "1",
    }
    options = {
        "model": locate(model),
        "served-model-name": model,
        "host": "127.0.0.1",
        "port": port,
        "dtype": "float32",
        "max-model-len": longest,
        "max-num-seqs": 8,
        "api-key": KEY,
    }
    arguments = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    with log.open("w") as output:
        # `vllm serve` does not start in the build for CPUs.
        server = subprocess.Popen(
            [sys.executable, "-m", _SERVER, *arguments, "--enforce-eager"],
            env=environment,
            stdout=output,
            stderr=output,
        )
    try:
        _wait_for(f"http://127.0.0.1:{port}/health", server, log)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        server.terminate()
        server.wait()


def _wait_for(address: str, server: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + 300
    while time.monotonic() < end:
        assert server.poll() is None, log.read_text()[-2000:]
        try:
            with urlopen(address):
                return
        except OSError:
            time.sleep(0.5)
    raise AssertionError(log.read_text()[-2000:])
