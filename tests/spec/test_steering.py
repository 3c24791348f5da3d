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
                "it should be 'last', 'answer' or 'mean', or be a valid integer"
            ),
        ),
        (
            "layer: 1",
            "layer: -1",
            (
                "x.yaml:7 intervention.layer: -1 is not accepted; "
                "it should be greater than or equal to 0, or be a valid list"
            ),
        ),
        ("alpha: 0\n", "alpha: .nan\n", "x.yaml:8 intervention.alpha: NaN is not accepted"),
        ("control: none", "positon: all", "unknown key; did you mean positions?"),
        ("{pairs: styles}", "{pair: styles}", "a mapping with one of the keys pairs, file"),
        ("kind: steering", "kind: steer", "one of router_mask, steering, dac"),
    ],
)
def test_what_the_form_refuses_is_one_line(tmp_path, old, new, message):
    with pytest.raises(SpecError) as raised:
        cases(tmp_path, (old, new))
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)
