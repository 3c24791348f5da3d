from __future__ import annotations

import pytest

from harness.errors import SpecError
from harness.spec import expand, load

SPEC = """\
name: caa
model: zoo/moe
task: {name: micro_humaneval}
intervention:
  kind: steering
  vector: {pairs: styles}
  layer: 1
  alpha: 0
  control: none
axes:
  intervention.alpha: [0, 0.5]
dose: intervention.alpha
"""


def cases(folder, *changes):
    text = SPEC
    for old, new in changes:
        assert text.count(old) == 1
        text = text.replace(old, new)
    file = folder / "x.yaml"
    file.write_text(text)
    return expand(*load(file))


def test_alpha_is_a_dose_and_zero_is_neutral(tmp_path):
    neutral, steered = cases(tmp_path)
    assert neutral.experiment.intervention == steered.experiment.intervention.neutral()
    assert steered.dose == 0.5
    assert steered.baseline.experiment.intervention is None


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "{pairs: styles}",
            "{pairs: styles, position: first}",
            (
                "x.yaml:6 intervention.vector.position: 'first' is not accepted; "
                "it should be 'last', 'answer' or 'mean', or be a whole number"
            ),
        ),
        (
            "layer: 1",
            "layer: -1",
            (
                "x.yaml:7 intervention.layer: -1 is not accepted; "
                "it should be greater than or equal to 0, or be a list"
            ),
        ),
        (
            "layer: 1",
            "layer: [2, 0, 2]",
            (
                "x.yaml:7 intervention.layer: [2, 0, 2] is not accepted; "
                "it should be a whole number, or name each layer once"
            ),
        ),
        ("alpha: 0\n", "alpha: .nan\n", "x.yaml:8 intervention.alpha: NaN is not accepted"),
        ("control: none", "positon: all", "unknown key; did you mean positions?"),
        ("{pairs: styles}", "{pair: styles}", "a mapping with one of the keys pairs, file"),
        ("kind: steering", "kind: steer", "one of router_mask, steering, dac"),
        (
            "{pairs: styles}",
            "[{pairs: styles}, {file: x, weigth: 2}]",
            "x.yaml:6 intervention.vector[1].weigth: unknown key; did you mean weight?",
        ),
        (
            "{pairs: styles}",
            "[{pairs: styles}, {fil: x}]",
            'intervention.vector[1]: {"fil": "x"} is not accepted; it should be a mapping with one',
        ),
        (
            "{pairs: styles}",
            "[]",
            "intervention.vector: [] is not accepted; it should have at least",
        ),
    ],
)
def test_what_the_form_refuses_is_one_line(tmp_path, old, new, message):
    with pytest.raises(SpecError) as raised:
        cases(tmp_path, (old, new))
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_one_vector_and_a_list_of_one_ask_for_the_same(tmp_path):
    (_, one), (_, listed) = (
        cases(tmp_path),
        cases(tmp_path, ("{pairs: styles}", "[{pairs: styles}]")),
    )
    assert one.experiment.intervention.vectors == listed.experiment.intervention.vectors


def test_every_vector_has_its_own_place_or_the_sections(tmp_path):
    written = "[{pairs: styles}, {file: v.safetensors, layer: [3, 0], site: mlp, weight: -0.5}]"
    _, case = cases(tmp_path, ("{pairs: styles}", written))
    settings = case.experiment.intervention
    first, second = settings.vectors
    assert (settings.layers_of(first), settings.site_of(first), first.weight) == ([1], "block", 1.0)
    assert (settings.layers_of(second), settings.site_of(second)) == ([3, 0], "mlp")
    # Paths of a list's entries start at the spec's folder too.
    assert second.file == str(tmp_path / "v.safetensors")


def test_an_axis_may_take_one_vector_or_several(tmp_path):
    axis = "axes:\n  intervention.vector: [{pairs: styles}, [{pairs: styles}, {file: v.gguf}]]\n"
    found = cases(tmp_path, ("axes:\n", axis))
    assert [len(case.experiment.intervention.vectors) for case in found] == [1, 1, 2, 2]
    assert found[2].experiment.intervention.vectors[1].file == str(tmp_path / "v.gguf")
