"""`inspect view` serves what was exported: its own server, asked as its page asks it."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import replace
from pathlib import Path

import pytest

import harness
from harness.report.exports import export

pytest.importorskip("inspect_ai", exc_type=ImportError)
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
EXAMPLE = Path(__file__).parents[3] / "reports" / "example"
_SECONDS = 120


def two_cases():
    """The first two cases of the example."""
    loaded = harness.load_report(EXAMPLE)
    few = loaded.report.model_copy(update={"cases": loaded.report.cases[:2]})
    return replace(loaded, report=few)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def viewer(tmp_path):
    """The address of `inspect view` on the exported example."""
    export(two_cases(), "inspect", tmp_path / "logs")
    port = _free_port()
    command = [Path(sys.executable).with_name("inspect"), "view", "--port", str(port)]
    with (tmp_path / "said.txt").open("wb") as said:
        process = subprocess.Popen(
            [*command, "--log-dir", str(tmp_path / "logs")], stdout=said, stderr=said, cwd=tmp_path
        )
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait()


def got(address):
    """What the server answers, waited for while it starts."""
    end = time.monotonic() + _SECONDS
    while True:
        try:
            with urllib.request.urlopen(address, timeout=_SECONDS) as answer:
                return answer.read()
        except urllib.error.HTTPError:
            raise
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)


def test_the_viewer_opens_what_was_exported(viewer):
    cases = {case.id: case for case in two_cases().report.cases}
    assert b"<html" in got(f"{viewer}/")
    names = [each["name"] for each in json.loads(got(f"{viewer}/api/log-files"))["files"]]
    assert len(names) == len(cases)
    log = json.loads(got(f"{viewer}/api/logs/{urllib.parse.quote(names[0], safe='')}"))
    case = cases[log["eval"]["metadata"]["titrate"]["id"]]
    assert len(log["samples"]) == case.task.size
    metrics = log["results"]["scores"][0]["metrics"]
    assert metrics["pass@1"]["value"] == case.metrics["pass@1"].value
