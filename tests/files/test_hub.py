"""A hub that does not answer is known in one attempt, and its clients try no more."""

from __future__ import annotations

import socket

import pytest
from huggingface_hub import constants, hf_hub_download
from huggingface_hub.errors import LocalEntryNotFoundError

from harness.errors import ModelError
from harness.files import hub
from harness.models.adapters import adapter_folder
from harness.models.reference import check_reference


@pytest.fixture
def port(monkeypatch):
    """One that nobody listens at, in place of the hub's."""
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(hub, "getproxies", dict)
    with socket.create_server(("127.0.0.1", 0)) as server:
        free = server.getsockname()[1]
    monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{free}")
    hub.answers.cache_clear()
    yield free
    hub.answers.cache_clear()


@pytest.fixture
def waits(monkeypatch):
    """What the clients would have waited between their attempts."""
    slept = []
    monkeypatch.setattr("time.sleep", slept.append)
    return slept


def test_a_model_is_refused_at_once(port, waits):
    with pytest.raises(ModelError, match="not in the local cache and the Hugging Face hub cannot"):
        check_reference("NOBODY/NOTHING")
    assert waits == []


def test_an_adapter_is_refused_at_once(port, waits):
    with pytest.raises(ModelError, match=r"cannot be reached; give a folder \(\./x\)"):
        adapter_folder("NOBODY/NOTHING")
    assert waits == []


def test_clients_are_online_again_behind_the_block(port, waits):
    with hub.offline_unless_it_answers(), pytest.raises(LocalEntryNotFoundError):
        hf_hub_download("NOBODY/NOTHING", "config.json")
    assert waits == []
    assert not constants.HF_HUB_OFFLINE


def test_behind_a_proxy_the_proxy_is_asked(port, monkeypatch):
    assert not hub.answers()
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
        monkeypatch.setattr(hub, "getproxies", lambda: {"http": address})
        monkeypatch.setattr(hub, "proxy_bypass", lambda host: host == "inside")
        hub.answers.cache_clear()
        assert hub.answers()
        monkeypatch.setattr(constants, "ENDPOINT", f"http://inside:{port}")
        hub.answers.cache_clear()
        assert not hub.answers()
