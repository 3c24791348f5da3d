"""`transformers serve`, asked by text: the same greedy text as in transformers."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import urlopen

import pytest

from harness.engines import open_engine
from harness.engines.contract import Request
from harness.engines.served.engine import ServedEngine
from harness.models.reference import locate
from harness.spec import EngineSettings

MODEL = "zoo/oracle"
TEXTS = ("def add(a, b):\n    return", "Tom has 4 apples. He buys 5.")

# It imports all of transformers first, for many seconds on a busy machine.
pytestmark = pytest.mark.slow


@pytest.fixture
def url(tmp_path):
    """A server that loads whatever model it is asked for."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    arguments = ["serve", "--host", "127.0.0.1", "--port", str(port)]
    program = str(Path(sys.executable).with_name("transformers"))
    with (tmp_path / "log").open("w") as log:
        server = subprocess.Popen(
            [program, *arguments, "--device", "cpu", "--dtype", "float32"],
            env=os.environ | {"HF_HUB_OFFLINE": "1"},
            stdout=log,
            stderr=log,
        )
    try:
        end = time.monotonic() + 180
        while True:
            assert server.poll() is None, (tmp_path / "log").read_text()
            assert time.monotonic() < end, (tmp_path / "log").read_text()
            try:
                with urlopen(f"http://127.0.0.1:{port}/health"):
                    break
            except OSError:
                time.sleep(0.5)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        server.terminate()
        server.wait()


def test_text_is_that_of_transformers(url):
    name = f"{locate(MODEL)}@main"  # as it calls what it has loaded
    served = ServedEngine(
        MODEL, EngineSettings(name="served", base_url=url, road="text", served_model=name)
    )
    local = open_engine(MODEL, EngineSettings(dtype="float32"))
    asked = [Request(tuple(local.tokenizer(text)["input_ids"]), 24) for text in TEXTS]
    own, theirs = dict(served.generate(asked)), dict(local.generate(asked))
    served.close()
    assert [own[at].error for at in own] == [None, None]
    assert [own[at].text for at in (0, 1)] == [theirs[at].text for at in (0, 1)]
