"""What is refused before anything is imported or loaded: one line each."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

from harness.engines import check_kind
from harness.engines.vllm import availability
from harness.engines.vllm.availability import check_installed, check_suffixes
from harness.errors import FieldError


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (None, "engine.name: vllm is not installed here; pip install 'pytest-titrate.vllm.'"),
        ("0.31.2", "engine.name: vllm 0.31.2 was not tested; install vllm>=0.32,<0.34"),
        ("0.34.0", "engine.name: vllm 0.34.0 was not tested"),
        ("1.0", "engine.name: vllm 1.0 was not tested"),
    ],
)
def test_a_missing_or_untested_vllm_is_refused_in_one_line(found, message, monkeypatch):
    monkeypatch.setattr(availability, "installed_version", lambda: found)
    with pytest.raises(FieldError, match=message) as refused:
        check_installed()
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("found", ["0.32.0", "0.32.0+cpu", "0.33.1", "0.33.0.post1"])
def test_tested_versions_are_taken(found, monkeypatch):
    monkeypatch.setattr(availability, "installed_version", lambda: found)
    assert check_installed() == found


@pytest.mark.skipif(find_spec("arctic_inference") is not None, reason="arctic-inference is here")
def test_drafts_from_suffixes_are_refused_where_their_package_is_missing():
    with pytest.raises(FieldError, match="suffix needs arctic-inference, which is not installed"):
        check_suffixes()


def test_an_intervention_that_is_not_applied_inside_vllm_is_refused():
    check_kind("vllm", "router_mask")
    with pytest.raises(FieldError, match="vllm does not run interventions of kind dac; use trans"):
        check_kind("vllm", "dac")
