"""What is checked on what, and what becomes of an identity that cannot be decided."""

from __future__ import annotations

import inspect
from dataclasses import replace
from typing import get_args

import pytest

from harness import registry
from harness.engines import partly, runs
from harness.engines.vllm import availability
from harness.errors import ModelError
from harness.interventions.kind import kind_of
from harness.invariants import check_all, checks, families
from harness.invariants.bench import SLOTS
from harness.invariants.checking import policies
from harness.invariants.tiny_models import CONFIGS, tiny_config
from harness.models.routers import ARCHITECTURES, router_shape
from harness.models.written import WrittenConfig
from harness.registry import engines
from harness.spec import EngineSettings
from harness.spec.engine_kind import engine_named


def test_every_intervention_that_an_engine_applies_owes_identities():
    kinds = {family.name for family in families()} - {"engine", "sampling"}
    assert kinds == set(registry.interventions.names())
    acting = {kind_of(kind).mechanism for kind in kinds}
    assert acting <= {by for name in engines.names() for by in engine_named(name).mechanisms}


def test_every_engine_is_checked_under_every_policy():
    known = get_args(EngineSettings.model_fields["determinism"].annotation)
    # What guides from outside of an engine is not the engine's doing: a server does nothing else.
    acting = [
        engine_named(name)
        for name in engines.names()
        if set(engine_named(name).mechanisms) - {"guidance"}
    ]
    settings = [
        EngineSettings.model_validate(each) for kind in acting for each in policies(kind).values()
    ]
    expected = {("transformers", policy) for policy in known} | {("vllm", "fast")}
    assert {(each.name, each.determinism) for each in settings} == expected
    assert {each.slots for each in settings if each.determinism == "fast"} == {SLOTS}


def test_every_identity_is_checked_on_vllm_but_those_that_watch_modules(monkeypatch):
    monkeypatch.setattr(availability, "check_machine", lambda settings: None)
    found = checks("zoo/moe", EngineSettings(name="vllm"))
    assert {check.engine for check in found} == {"vllm"}
    unable = {
        name
        for name in registry.interventions.names()
        if not runs("vllm", name) or partly("vllm", name)
    }
    able = [family for family in families() if family.name not in unable]
    assert {check.name for check in found if check.identity is None} == unable
    found = [check for check in found if check.identity is not None]
    excused = {check.identity for check in found if check.excuse is not None}
    watching = {i for family in able for i in family.identities if family.watches(i)}
    assert excused == watching
    assert len(watching) == 11
    assert {check.name for check in found} == {
        check.name for check in checks("zoo/moe") if check.family.name not in unable
    }


def test_families_that_an_engine_does_not_run_are_excused_by_name(monkeypatch):
    monkeypatch.setattr(availability, "check_machine", lambda settings: None)
    without = replace(engine_named("vllm"), mechanisms=frozenset({"residual"}))
    monkeypatch.setitem(registry.engines._loaded, "vllm", without)
    found = checks("zoo/moe", EngineSettings(name="vllm"))
    (dac,) = [check for check in found if check.family.name == "dac"]
    assert dac.excuse == "vllm does not run interventions of kind dac"


def test_every_architecture_with_known_routers_has_a_tiny_model():
    assert {config["model_type"] for config in CONFIGS.values()} == set(ARCHITECTURES)


def test_identities_say_what_they_hold_and_where_from():
    for family in families():
        for identity in family.identities:
            text = inspect.getdoc(identity)
            assert "ource: " in text or "dentit" in text.split("\n", 1)[1], identity


def test_ids_are_unique_and_never_taken_for_a_family_of_specs():
    """`-k keep_topk` selects the cases of that spec, and no identity."""
    ids = [check.id for check in checks()]
    assert len(set(ids)) == len(ids)
    assert not [id_ for id_ in ids if "topk" in id_]


def test_a_model_without_routers_is_excused_by_name():
    excused = [check for check in checks("zoo/base") if check.excuse is not None]
    assert [check.name for check in excused] == ["router_mask"] * 2  # fast and strict
    assert "LlamaForCausalLM" in excused[0].excuse
    assert {check.family.name for check in checks("zoo/base")} > {"engine", "sampling"}
    assert check_all(excused) == []


def test_a_tiny_model_without_routers_is_excused_in_words_that_a_user_knows():
    (excuse,) = {check.excuse for check in checks("tiny/linear") if check.name == "router_mask"}
    assert excuse.startswith("the model (model_type llama) has no routers; ")


def test_ones_own_model_and_settings_are_checked_alone():
    own = checks("zoo/oracle", EngineSettings(dtype="bfloat16", slots=64))
    assert {check.model for check in own} == {"zoo/oracle"}
    assert {check.settings.dtype for check in own} == {"bfloat16"}
    with pytest.raises(ModelError, match="zoo/nothing is not in the zoo"):
        checks("zoo/nothing")


def test_an_identity_that_raises_is_undecided_and_so_violated(by_name, checker, monkeypatch):
    from harness.invariants.bench import Bench

    def broken(self, request):
        raise KeyError("slot 3\nand more")

    monkeypatch.setattr(Bench, "alone", broken)
    found = checker.check(by_name["router_mask.dose_does_something"])
    assert not found.holds
    assert found.detail.startswith("undecided: KeyError: ")
    assert "\n" not in found.detail


def test_a_departure_is_kept_with_its_token_and_gap(by_name, checker, monkeypatch):
    from harness.interventions.router_mask.description import RouterMask

    monkeypatch.setattr(
        RouterMask, "neutral", lambda self: self.model_copy(update={"points": self.points[:2]})
    )
    found = checker.check(by_name["router_mask.neutral_alone_equals_baseline"])
    assert not found.holds
    assert found.departure.request.startswith("prompt ")
    assert found.departure.token >= 0
    assert found.departure.log_probability_gap != 0
    assert str(found.departure) == found.detail


def test_one_model_is_in_memory_at_a_time(checker):
    first = {check.model: check for check in checks() if check.family.name == "engine"}
    for model in ("tiny/mixtral", "tiny/olmoe"):
        checker.check(first[model])
        assert checker._loaded.reference == model
    checker.close()
    assert checker._loaded is None


@pytest.mark.parametrize("name", CONFIGS)
def test_the_routers_of_tiny_models_are_read_as_transformers_reads_them(name):
    assert router_shape(WrittenConfig(CONFIGS[name])) == router_shape(tiny_config(name))
