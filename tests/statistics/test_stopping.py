"""Sweeps that stop themselves, on values that are known: who gets samples, and how doses end."""

from __future__ import annotations

import numpy as np
import pytest

from harness.metrics.lookup import SCORE
from harness.statistics.stopping import Aims, Arm, SideOfNumber, Sweep

SIZE = 160


def sweep(chances, aims=None, *, seed=0, **options):
    """A sweep over doses with these chances to be right, 0.9 of the baseline's; coupled luck."""
    luck = np.random.default_rng(seed).random(SIZE)
    values = {f"d{at}": (luck < chance).astype(float) for at, chance in enumerate(chances)}
    values["base"] = (luck < 0.9).astype(float)
    arms = [Arm(f"d{at}", "base", "curve", float(at)) for at in range(len(chances))]
    asked = []

    def known(case, _):
        seen = [samples.stop for ids, samples in asked if case in ids or case == "base"]
        return np.where(np.arange(SIZE) < max(seen), values[case], np.nan)

    made = Sweep(
        arms,
        SIZE,
        {"pass@1": SCORE},
        aims or Aims(("pass@1",)),
        known,
        **options,
    )
    for together, samples in made.chunks():
        asked.append(([arm.id for arm in together], samples))
    return arms, asked, made


def test_strong_doses_are_decided_soon_and_the_others_said_to_be_undecided():
    arms, asked, made = sweep((0.9, 0.88, 0.4, 0.1), futility=0.01)
    assert [arm.end for arm in arms] == ["ended early", "ended early", "decided", "decided"]
    assert arms[3].taken <= arms[2].taken < SIZE / 2
    assert made.differing("pass@1") == {"d2", "d3"}
    assert asked[0] == (["d0", "d1", "d2", "d3"], range(16))
    assert all(len(ids) == 1 for ids, _ in asked[1:])


def test_every_dose_is_asked_a_beginning_of_the_permutation_once():
    arms, asked, _ = sweep((0.9, 0.8, 0.5), look=30)
    for arm in arms:
        own = [samples for ids, samples in asked if arm.id in ids]
        assert [each.start for each in own] == [0, *(each.stop for each in own[:-1])]
        assert own[-1].stop == arm.taken <= SIZE


def test_going_on_ends_with_every_sample_and_changes_no_decision():
    _, _, made = sweep((0.9, 0.88, 0.4, 0.1))
    further, _, again = sweep((0.9, 0.88, 0.4, 0.1), futility=0)
    assert [arm.end for arm in further] == ["all samples", "all samples", "decided", "decided"]
    assert made.differing("pass@1") <= again.differing("pass@1")


def test_an_ed50_is_followed_until_it_is_precise():
    aims = Aims(precise=(("pass@1", 0.5),))
    arms, _, _ = sweep((0.9, 0.8, 0.5, 0.2, 0.1), aims)
    assert len({arm.taken for arm in arms}) == 1
    assert arms[0].taken < SIZE
    narrower, _, _ = sweep((0.9, 0.8, 0.5, 0.2, 0.1), Aims(precise=(("pass@1", 0.1),)))
    assert narrower[0].taken > arms[0].taken


def test_a_number_is_on_a_side_when_all_of_its_interval_is():
    sides = (SideOfNumber("d0", "pass@1", True, 0.5), SideOfNumber("base", "pass@1", True, 0.5))
    arms, _, _ = sweep((0.9, 0.9), Aims(sides=sides))
    assert arms[0].taken < SIZE
    assert arms[0].end == "decided"
    close, _, _ = sweep((0.9, 0.9), Aims(sides=(SideOfNumber("d0", "pass@1", True, 0.89),)))
    assert close[0].taken > arms[0].taken


def test_a_dose_that_cannot_be_measured_is_asked_no_more():
    arms, asked, _ = sweep((0.9, 0.4), failed={"d1"})
    assert arms[1].taken == 16
    assert [ids for ids, _ in asked if "d1" in ids] == [["d0", "d1"]]


def test_nothing_is_decided_where_nothing_differs():
    """Sweeps without an effect, of doses that change at random: looked at after every chunk."""
    false = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        values = {f"d{at}": (rng.random(SIZE) < 0.6).astype(float) for at in range(6)}
        values["base"] = (rng.random(SIZE) < 0.6).astype(float)
        arms = [Arm(f"d{at}", "base", "curve", float(at)) for at in range(6)]
        made = Sweep(
            arms,
            SIZE,
            {"pass@1": SCORE},
            Aims(("pass@1",)),
            lambda case, _, values=values: values[case],
            futility=0.0,
        )
        assert list(made.chunks())
        false += bool(made.differing("pass@1"))
    assert false <= 0.05 * 60 + 3


@pytest.mark.parametrize("look", [1, 7, 160, 500])
def test_any_look_ends(look):
    arms, _, _ = sweep((0.9, 0.2), look=look)
    assert all(arm.end is not None and arm.taken <= SIZE for arm in arms)
