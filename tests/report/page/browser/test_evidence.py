"""Tokens that speak for a difference: each unfolds to where it gained most, by mouse or keys."""

from __future__ import annotations

import json

import pytest

import harness
from tests.tuned import tuned_into

SPEC = """\
name: diffed
model: zoo/base
task: {{path: texts.jsonl}}
prompt: {{style: completion, template: ""}}
measure: diff
diff: {{positions: 6, depth: 20, candidates: 5, relevant: [cake, butter, oil], tuned: {tuned}}}
"""
TEXTS = ["The river rises in the hills.", "A loaf of bread needs flour."]
#: The token of the n-th row of the first table.
TOKEN = ".evidence tbody tr:nth-child({}) td:nth-child(2) details"


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("diffed")
    lines = "".join(f"{json.dumps({'text': each})}\n" for each in TEXTS)
    (folder / "texts.jsonl").write_text(lines, "utf-8")
    (folder / "diffed.yaml").write_text(SPEC.format(tuned=tuned_into(folder)), "utf-8")
    harness.run(folder / "diffed.yaml", directory=folder / "report", store=folder / "store")
    return folder / "report"


def test_a_token_unfolds_to_its_example_positions(browser, page):
    browser.open(page / "index.html")
    first, second = TOKEN.format(1), TOKEN.format(2)
    shown = f"document.querySelector('{first} li').checkVisibility()"
    assert not browser.js(shown)
    browser.mouse(f"{first} summary", click=True)
    browser.wait(shown)
    (case,) = (page / "diff").iterdir()
    best = json.loads((case / "evidence.json").read_text("utf-8"))["candidates"][0]
    told = browser.texts(f"{first} li")
    assert len(told) == len(best["examples"]) > 0
    for line, example in zip(told, best["examples"], strict=True):
        assert f"position {example['position']}, " in line
        assert f"{example['value']:+.3g}" in line
        assert example["before"] in line
    # The same by the keyboard: the next token is the next stop of Tab, and Enter opens and closes.
    browser.press("Tab")
    assert browser.js(f"document.activeElement === document.querySelector('{second} summary')")
    shown = shown.replace(first, second)
    browser.press("Enter")
    browser.wait(shown)
    browser.press("Enter")
    browser.wait(f"!({shown})")
    assert browser.complaints == []
