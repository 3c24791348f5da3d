"""The documentation: its site is built without a warning, and it quotes what the code says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tools.site import messages

ROOT = Path(__file__).parents[1]
LOADED = re.compile(r'<(?:script|link|img)[^>]*(?:src|href)="(https?:[^"]+)"')
SOURCE = " ".join(
    re.sub(r'"\s*(?:f?")', "", file.read_text("utf-8"))
    for file in sorted((ROOT / "harness").rglob("*.py"))
)


@pytest.mark.slow  # seven seconds of CPU
def test_the_site_is_built_strictly_and_opens_without_a_network(tmp_path):
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True)
    pages = sorted(tmp_path.rglob("*.html"))
    assert len(pages) > 40
    for page in pages:
        loaded = re.findall(
            r'<(?:script|link|img)[^>]*(?:src|href)="(https?:[^"]+)"', page.read_text()
        )
        assert not loaded, page


def test_messages_have_an_anchor_of_their_own_each():
    anchors = re.findall(r'<a id="([^"]+)">', messages.page())
    assert len(anchors) > 400
    assert len(anchors) == len(set(anchors))


def _quoted() -> list[str]:
    """What the headings of the page on troubleshooting quote of messages."""
    page = (ROOT / "docs" / "troubleshooting.md").read_text("utf-8")
    headings = re.findall(r"^### (.*)$", page, re.MULTILINE)
    return [quote for heading in headings for quote in re.findall(r"`([^`]+)`", heading)]


@pytest.mark.parametrize("quote", _quoted())
def test_troubleshooting_quotes_what_is_said(quote):
    for part in re.split(r"\.\.\.|'[^']*'", quote):
        for said in filter(None, (each.strip(" ?;") for each in part.split("did you mean"))):
            assert re.sub(r"\W+", " ", said).strip() in re.sub(r"\W+", " ", SOURCE), said
