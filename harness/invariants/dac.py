"""Identities of dynamic activation composition: doses in bounds, frozen once chosen, and 0 for 0.

Differences are random and long, so that they move every model. Sources are the method's description
and the identities of steering by number.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from harness.engines.contract import Completion, Request
from harness.interventions.array import Array
from harness.interventions.dac.description import DAC, LayerDifference, Property
from harness.invariants.bench import Bench, named
from harness.invariants.family import EVERY_POLICY, Family
from harness.invariants.finding import Compared, Finding, equal, first_violation
from harness.models.sites import hidden_shape

_STEPS = 4
_SCALE = 3.0


def doses(config: Any) -> tuple[DAC, ...]:
    """One property, and two of different lengths and sites under the other options."""
    layers, width = hidden_shape(config)
    one = _property("one", layers, width, steps=_STEPS)
    static = _property("static", 1, width, steps=None)
    return (
        DAC(properties=(one,)),
        DAC(
            properties=(one, static.model_copy(update={"site": "block"})),
            strongest=1.0,
            top_p=0.9,
            direction="steered_to_unsteered",
            mean_divergence=True,
        ),
    )


def doses_are_between_nothing_and_the_strongest(bench: Bench) -> Finding:
    """Every token has a dose of every property, from 0 to `strongest`; somewhere it is not 0.

    Source: dynamic activation composition (arXiv:2406.17563), whose doses are clipped.
    """

    def problems() -> Iterator[str | None]:
        for request, dac, own in _completed(bench):
            for each in dac.properties:
                trace = own.traces.get(f"alpha {each.name}", ())
                outside = [alpha for alpha in trace if not 0 <= alpha <= dac.strongest]
                if len(trace) != len(own.tokens):
                    yield f"{named(request)}: {len(trace)} doses for {len(own.tokens)} tokens"
                elif outside:
                    yield f"{named(request)}: a dose of {outside[0]:g}, not 0 to {dac.strongest:g}"
                else:
                    yield None
        if not any(any(trace) for *_, own in _completed(bench) for trace in own.traces.values()):
            yield "no token has a dose: nothing was steered"

    return first_violation(problems(), "completions")


def chosen_doses_given_to_steering_are_the_same(bench: Bench) -> Finding:
    """The doses that came out, given to plain steering at once, make the same tokens.

    Earlier doses are frozen: at step t the model is the one of steps 0..t-1, and one dose more.
    Source: dynamic activation composition (arXiv:2406.17563); steering, identity 6.
    """

    def replayed() -> Iterator[Compared]:
        for request, dac, own in _completed(bench):
            alphas = [own.traces[f"alpha {each.name}"] for each in dac.properties]
            given = replace(request, intervention=dac.composed(alphas))
            yield named(request), bench.alone(given), own

    # Read in one piece or token by token: two ways to compute the same, also in fixed shapes.
    return equal(replayed(), tolerance=bench.rounding)


def every_dose_is_applied(bench: Bench) -> Finding:
    """Additions are counted at every layer of a property for every token whose dose is not 0.

    Source: dynamic activation composition (arXiv:2406.17563), whose edits are at all layers.
    """

    def problems() -> Iterator[str | None]:
        for request, dac, own in _completed(bench):
            expected = sum(
                len(each.differences)
                * sum(alpha != 0 for alpha in own.traces[f"alpha {each.name}"])
                for each in dac.properties
            )
            made = own.counts.get("steered", 0)
            same = made == expected
            yield None if same else f"{named(request)}: {made} additions instead of {expected}"

    return first_violation(problems(), "completions")


def a_difference_of_nothing_has_no_dose(bench: Bench) -> Finding:
    """Differences of 0 have the dose 0: alone they are the baseline, beside others they drop out.

    Source: dynamic activation composition (arXiv:2406.17563); steering, identity 5.
    """
    import torch

    layers, width = hidden_shape(bench.loaded.model.config)
    one = _property("one", layers, width, steps=_STEPS)
    nothing = Property(
        name="nothing",
        differences=tuple(
            LayerDifference(layer=layer, vector=Array(torch.zeros(_STEPS, width)))
            for layer in range(layers)
        ),
    )
    both, alone = DAC(properties=(one, nothing)), DAC(properties=(one,))

    def problems() -> Iterator[str | None]:
        for dac, other in ((DAC(properties=(nothing,)), None), (both, alone)):
            requests = bench.requests(dac)
            for request, expected in zip(requests, bench.requests(other), strict=True):
                own, without = bench.alone(request), bench.alone(expected)
                if any(own.traces["alpha nothing"]):
                    yield f"{named(request)}: a dose of {max(own.traces['alpha nothing']):g}"
                elif own.tokens != without.tokens:
                    yield f"{named(request)}: {own.tokens} instead of {without.tokens}"
                else:
                    yield None

    return first_violation(problems(), "completions")


def properties_have_no_order(bench: Bench) -> Finding:
    """Two properties in the other order have the same doses and make the same tokens.

    Source: dynamic activation composition (arXiv:2406.17563), which sums the properties' edits.
    """
    layers, width = hidden_shape(bench.loaded.model.config)
    one = _property("one", layers, width, steps=_STEPS)
    other = _property("other", layers, width, steps=_STEPS, seed=1)
    # Divergences divided by the size of large nuclei are far below the clip: none hides another.
    forth = DAC(properties=(one, other), top_p=0.9, mean_divergence=True)
    back = forth.model_copy(update={"properties": (other, one)})
    pairs = [
        (named(request), bench.alone(request), bench.alone(turned))
        for request, turned in zip(bench.requests(forth), bench.requests(back), strict=True)
    ]
    found = equal(pairs, tolerance=bench.tolerance)
    if not found.holds:
        return found
    return first_violation((_other_doses(*pair, bench.tolerance) for pair in pairs), "completions")


def _other_doses(name: str, one: Completion, other: Completion, tolerance: float) -> str | None:
    """Which property has other doses in two completions of equal tokens; None if none has."""
    for trace, doses in one.traces.items():
        differences = [abs(a - b) for a, b in zip(doses, other.traces[trace], strict=True)]
        if max(differences, default=0.0) > tolerance:
            return f"{name}: {trace} differs by {max(differences):g} in the other order"
    return None


def _completed(bench: Bench) -> Iterator[tuple[Request, DAC, Completion]]:
    for request in bench.requests(*bench.doses):
        assert isinstance(request.intervention, DAC)
        yield request, request.intervention, bench.alone(request)


def _property(name: str, layers: int, width: int, *, steps: int | None, seed: int = 0) -> Property:
    import torch

    shape = (width,) if steps is None else (steps, width)
    return Property(
        name=name,
        differences=tuple(
            LayerDifference(
                layer=layer,
                vector=Array(
                    _SCALE
                    * torch.randn(
                        shape, generator=torch.Generator().manual_seed(100 * seed + layer)
                    )
                ),
            )
            for layer in range(layers)
        ),
    )


FAMILY = Family(
    "dac",
    doses=doses,
    own=(
        doses_are_between_nothing_and_the_strongest,
        every_dose_is_applied,
        chosen_doses_given_to_steering_are_the_same,
        a_difference_of_nothing_has_no_dose,
        properties_have_no_order,
    ),
    inherited=EVERY_POLICY,
)
