"""Defects of a composition that is decided token by token; each turns its identity red."""

from __future__ import annotations

import pytest

from harness.interventions.dac.description import DAC
from harness.interventions.steering.description import Steering
from tests.invariants.planted import Defects

DEFECTS = Defects()


@DEFECTS.seen_by("dac.chosen_doses_given_to_steering_are_the_same")
def earlier_doses_follow_the_last_one(patch):
    composed = DAC.composed

    def changed(self, alphas):
        # While decoding only: the lists grow; what is replayed comes as tuples.
        if isinstance(alphas[0], list):
            alphas = [[own[-1]] * len(own) for own in alphas]
        return composed(self, alphas)

    patch.setattr(DAC, "composed", changed)


@DEFECTS.seen_by("dac.doses_are_between_nothing_and_the_strongest")
def doses_not_clipped(patch):
    patch.setattr(DAC, "alpha", lambda self, *_: self.strongest + 0.5)


@DEFECTS.seen_by("dac.doses_are_between_nothing_and_the_strongest")
def doses_always_nothing(patch):
    patch.setattr(DAC, "alpha", lambda *_: 0.0)


@DEFECTS.seen_by("dac.a_difference_of_nothing_has_no_dose")
def equal_distributions_diverge(patch):
    alpha = DAC.alpha
    patch.setattr(DAC, "alpha", lambda self, *both: min(alpha(self, *both) + 0.1, self.strongest))


@DEFECTS.seen_by("dac.properties_have_no_order")
def every_property_is_probed_as_the_first(patch):
    steered = DAC.steered
    patch.setattr(DAC, "steered", lambda self, which, step: steered(self, 0, step))


@DEFECTS.seen_by("dac.every_dose_is_applied")
def nothing_is_added(patch):
    patch.setattr(DAC, "composed", lambda *_: Steering())


@pytest.mark.parametrize("name", DEFECTS)
def test_a_planted_defect_is_seen(name, by_name, checker, monkeypatch):
    DEFECTS.check(name, by_name, checker, monkeypatch)
