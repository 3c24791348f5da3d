"""A server in a model's place: asked for what it serves, in specs, sections and axes."""

from __future__ import annotations

import re

import pytest

import harness
from harness.errors import SpecError
from harness.spec import expand, load
from tests.engines.served.faulty import running


@pytest.fixture(scope="module")
def server():
    with running() as state:
        yield state


def read(folder, model="zoo/base", oracle="zoo/oracle", more="", **fields):
    lines = [
        "name: there",
        f"model: {model}",
        "task: {name: micro_gsm8k, limit: 2}",
        *(f"{name}: {value}" for name, value in fields.items()),
        "intervention:",
        "  kind: oracle",
        f"  model: {oracle}",
        f"  {more}",
    ]
    (folder / "spec.yaml").write_text("\n".join(lines), "utf-8")
    return [case.experiment for case in expand(*load(folder / "spec.yaml"))]


def where(section):
    return section.model, section.engine and section.engine.base_url


def test_the_one_model_of_a_server_is_asked_for_and_named(tmp_path, server):
    for url in (server.url, f"{server.url}#zoo/oracle"):
        (there,) = read(tmp_path, oracle=url)
        assert where(there) == ("zoo/base", None)
        assert where(there.intervention) == ("zoo/oracle", server.url)
        (there,) = read(tmp_path, model=url, more="engine: {name: transformers}")
        assert where(there) == ("zoo/oracle", server.url)
        assert where(there.intervention) == ("zoo/oracle", None)
        (there,) = read(tmp_path, model=url, oracle=url)
        assert where(there) == where(there.intervention) == ("zoo/oracle", server.url)
        # What the report keeps is read again without asking anybody.
        assert harness.Experiment.model_validate_json(there.model_dump_json()) == there


def test_an_address_is_a_value_of_an_axis_and_keeps_the_settings_of_its_engine(tmp_path, server):
    axes = f"{{intervention.model: [zoo/oracle, '{server.url}']}}"
    here, there = read(tmp_path, axes=axes)
    assert where(here.intervention) == ("zoo/oracle", None)
    assert where(there.intervention) == ("zoo/oracle", server.url)
    (there,) = read(tmp_path, oracle=server.url, more="engine: {road: text, retries: 1}")
    assert (there.intervention.engine.road, there.intervention.engine.retries) == ("text", 1)


@pytest.mark.parametrize(
    ("listed", "root", "expected"),
    [
        ("zoo/oracle@main", "x", ("zoo/oracle", "zoo/oracle@main")),
        ("qwen", "Qwen/Qwen3-8B", ("Qwen/Qwen3-8B", "qwen")),
        ("qwen", None, ("qwen", None)),
        ("zoo/oracle", "/models/oracle", ("zoo/oracle", None)),
    ],
)
def test_a_name_of_the_server_s_own_is_kept_beside_the_model_s(tmp_path, listed, root, expected):
    with running(models=[listed], root=root) as server:
        (there,) = read(tmp_path, oracle=server.url)
    asked = there.intervention
    assert (asked.model, asked.engine.served_model) == expected


@pytest.mark.parametrize(
    ("models", "told"),
    [
        (["a/b", "c/d"], r"URL serves a/b, c/d; say which one, URL#a/b"),
        (["a", "b", "c", "d", "e", "f"], r"serves a, b, c, d, e, \.\.\.; say which one"),
        ([], r"URL serves nothing; say which one, URL#NAME"),
        (None, r"URL does not say what it serves; write URL#NAME"),
    ],
)
def test_several_models_or_none_are_one_line(tmp_path, models, told):
    with running(models=models) as server:
        told = told.replace("URL", server.url)
        with pytest.raises(SpecError, match=rf"^[^\n]*spec\.yaml:6 intervention\.model: .*{told}"):
            read(tmp_path, oracle=server.url)
        with pytest.raises(SpecError, match=rf"^[^\n]*spec\.yaml:2 model: .*{told}"):
            read(tmp_path, model=server.url)


def test_a_server_that_wants_a_key_gets_that_of_the_section(tmp_path, monkeypatch):
    monkeypatch.setenv("LOOPBACK_KEY", "sk-here")
    with running(key="sk-here") as server:
        (there,) = read(tmp_path, oracle=server.url, more="engine: {api_key_env: LOOPBACK_KEY}")
        assert where(there.intervention) == ("zoo/oracle", server.url)
        with pytest.raises(SpecError, match=r"401: who are you.*its key by engine\.api_key_env"):
            read(tmp_path, oracle=server.url)


@pytest.mark.parametrize(
    ("url", "engine", "told"),
    [
        ("http://127.0.0.1:9/v1", "", r":6 intervention\.model: .*no server answers there"),
        ("http://", "", r":6 intervention\.model: 'http://' is not an address of a server"),
        ("http://me:sk-1@h/v1", "", r":6 intervention\.model: holds a user"),
        ("http://h/v1", "engine: {name: vllm}", "which vllm does not ask; leave intervention"),
    ],
)
def test_what_is_no_server_is_one_line(tmp_path, url, engine, told):
    with pytest.raises(SpecError, match=told) as error:
        read(tmp_path, oracle=url, more=engine)
    assert "\n" not in str(error.value)
    assert "sk-1" not in str(error.value)


def test_both_by_their_addresses_run(tmp_path, server):
    read(tmp_path, server.url, server.url, "trigger: {kind: every_n, n: 2}", seed=1)
    ran = harness.run(tmp_path / "spec.yaml", directory=tmp_path / "r", store=tmp_path / "s")
    assert {case.status for case in ran.report.cases} == {"complete"}
    assert {case.model for case in ran.report.cases} == {"zoo/oracle"}


def test_a_model_that_another_one_s_server_lacks_is_told_at_its_line(tmp_path, server):
    read(tmp_path, server.url, "zoo/base")
    ran = harness.run(tmp_path / "spec.yaml", directory=tmp_path / "r", store=tmp_path / "s")
    assert {case.status for case in ran.report.cases} == {"failed"}
    told = "spec.yaml:6 intervention.model: .* does not serve zoo/base, but zoo/oracle; .*, or say"
    assert all(re.search(told, case.error) for case in ran.report.cases)
