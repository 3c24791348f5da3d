"""What a server cannot be asked is said with its line, before a server is asked anything."""

from __future__ import annotations

import pytest

from harness.errors import SpecError
from harness.runs.checks import planned
from harness.spec import expand, load

SPEC = """\
name: asked
model: zoo/oracle
task: {name: micro_gsm8k, limit: 2}
engine: {name: served, base_url: "http://127.0.0.1:9/v1"}
"""


def check(tmp_path, text):
    (tmp_path / "asked.yaml").write_text(text)
    for case in expand(*load(tmp_path / "asked.yaml")):
        planned(case)


def test_a_spec_that_a_server_can_be_asked(tmp_path):
    check(tmp_path, SPEC)


@pytest.mark.parametrize(
    ("engine", "problem"),
    [
        ("name: served", "4 engine.base_url: missing, and served asks a server; give its address"),
        ("name: served, base_url: localhost", "4 engine.base_url: 'localhost' is not an address"),
        ("name: served, base_url: 'http://x:y/v1'", "4 engine.base_url: is not an address: Port"),
        (
            "name: served, base_url: 'https://me:sk-1@x.org/v1'",
            "4 engine.base_url: holds a user, a query",
        ),
        ("name: served, base_url: 'https://x/v1?key=sk-1'", "4 engine.base_url: holds a user, a"),
        (
            "name: served, base_url: 'http://x/v1', api_key_env: NO_SUCH_KEY",
            "4 engine.api_key_env: NO_SUCH_KEY is not set here; export NO_SUCH_KEY=",
        ),
        ("name: served, base_url: 'http://x/v1', dtype: float32", "4 engine: dtype: float32 means"),
        ("name: vllm, base_url: 'http://x/v1'", "means nothing to vllm; leave it out, or use"),
    ],
)
def test_addresses_and_keys(tmp_path, engine, problem):
    spec = SPEC.replace('name: served, base_url: "http://127.0.0.1:9/v1"', engine)
    with pytest.raises(SpecError) as caught:
        check(tmp_path, spec)
    assert f"asked.yaml:{problem}" in str(caught.value) or problem in str(caught.value)
    assert "sk-1" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "sampling: {temperature: 1, greedy_threshold: 0.2}",
            "5 sampling.greedy_threshold: 0.2 is",
        ),
        (
            "sampling: {temperature: 1, min_p: 0.2, top_p: 0.9}",
            "5 sampling.min_p: 0.2 beside top_p",
        ),
        ("measure: forward", "5 measure: forward reads a model from inside, which served cannot"),
        (
            "intervention: {kind: steering, vector: {pairs: styles}, layer: 1, alpha: 1}",
            "4 engine.name: served does not run interventions of kind steering; use transformers",
        ),
    ],
)
def test_what_no_server_does(tmp_path, text, problem):
    with pytest.raises(SpecError) as caught:
        check(tmp_path, f"{SPEC}{text}\n")
    assert f"asked.yaml:{problem}" in str(caught.value)


@pytest.mark.parametrize(
    ("road", "text", "problem"),
    [
        ("text", "sampling: {temperature: 1, top_k: 3}", "sampling.top_k: 3 is not a rule of serv"),
        ("text", "measure: likelihood", "measure: likelihood needs log-probabilities of given tok"),
        ("chat", "prompt: {style: completion}", "prompt.style: completion is bare text, and road"),
    ],
)
def test_what_a_road_does_not_bring(tmp_path, road, text, problem):
    with pytest.raises(SpecError) as caught:
        check(tmp_path, SPEC.replace('/v1"}', f'/v1", road: {road}}}') + f"{text}\n")
    assert f"asked.yaml:5 {problem}" in str(caught.value)
