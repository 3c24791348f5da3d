"""Doses that a spec writes as names: what number each is, and what is refused."""

from __future__ import annotations

import pytest

from harness.errors import SpecError
from harness.spec import Experiment, expand, load
from harness.spec.named_doses import dose_of, unit_of
from tests.spec.test_grid import experiment

ORGANISM = """name: x
description: A test.
base: zoo/settled
variants:
  default: {adapter: ./a, mix: 0}
  half: {adapter: ./b, mix: 1}
  same: {adapter: ./c, mix: 1}
  third: {adapter: ./d, mix: 2}
  normal: {adapter: ./e, control: true}
  unknown: {adapter: ./f}
"""


@pytest.fixture
def spec(tmp_path):
    (tmp_path / "x.yaml").write_text(ORGANISM)

    def read(variants: str, more: str = "") -> list:
        path = tmp_path / "mix.yaml"
        path.write_text(
            "name: mix\nmodel: zoo/settled\ntask: {name: micro_gsm8k, limit: 2}\n"
            "intervention: {kind: adapter, organism: ./x.yaml}\n"
            f"dose: intervention.variant\naxes:\n  intervention.variant: {variants}\n{more}"
        )
        return expand(*load(path))

    return read


def test_a_variant_is_at_its_share_of_documents(spec):
    cases = spec("[default, half, third, normal]")
    assert [case.dose for case in cases] == pytest.approx([1, 0.5, 1 / 3, 0])
    assert unit_of("adapter", "intervention.variant") == "share of documents"


def test_gates_and_windows_count_the_numbers_behind_names(spec):
    assert spec("[default, half, third, normal]", 'gates: ["ed50(pass@1) >= 0.1"]')
    with pytest.raises(SpecError, match="2 doses above 0, which are no curve"):
        spec("[default, half, normal]", 'gates: ["ed50(pass@1) >= 0.1"]')


@pytest.mark.parametrize(
    ("variants", "told"),
    [
        ("[default, unknown]", r"variant\[1\]: organism x states no mix of its variant unknown"),
        ("[half, same]", r"variant\[1\]: same is at dose 0.5, as half is; keep one of the two"),
        ("[default, true]", r"variant\[1\]: true is not accepted; the values of the dose are"),
    ],
)
def test_what_has_no_dose_is_one_line(spec, variants, told):
    with pytest.raises(SpecError, match=told) as error:
        spec(variants)
    assert "\n" not in str(error.value)


def test_a_variant_that_is_not_there_is_left_to_be_skipped(spec):
    assert [case.dose for case in spec("[default, nobody]")] == [1, None]


def test_a_name_is_no_dose_where_its_kind_names_none():
    one: Experiment = experiment(dose="intervention.count", axes={"intervention.count": [1]})
    assert (dose_of(one, 4), dose_of(one, "four"), dose_of(one, True)) == (4, None, None)
    assert unit_of("router_mask", "intervention.count") is None
