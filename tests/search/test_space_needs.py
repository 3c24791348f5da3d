"""What a search declares: all that any of its configurations needs, and nothing else."""

from __future__ import annotations

from itertools import product

from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, IntDistribution

from harness.engines.declared import Declared, Steered
from harness.errors import FieldError
from harness.resolve.needs import needs_of
from harness.search.final import best_spec
from harness.search.space import Space, space_of
from harness.search.space_needs import needs_of_space
from harness.spec import Experiment, SpecSource, expand, load

SITES = ["block", "attention", "mlp"]
CONDITION = {"kind": "cosine", "threshold": 0.5}


def choices(values, at_most=2):
    return st.lists(values, min_size=1, max_size=at_most, unique_by=repr)


layers = st.integers(0, 5) | st.lists(st.integers(0, 5), min_size=1, max_size=2, unique=True)
layer_ranges = st.builds(
    lambda low, steps, step: {"low": low, "high": low + steps * step, "step": step},
    st.integers(0, 2),
    st.integers(1, 3),
    st.integers(1, 2),
)
vectors = st.fixed_dictionaries(
    {}, optional={"layer": layers, "site": st.sampled_from(SITES), "weight": st.just(0.5)}
).flatmap(lambda own: st.sampled_from([{"pairs": "styles"}, {"file": "/v"}]).map(lambda s: s | own))
steerings = st.fixed_dictionaries(
    {
        "kind": st.just("steering"),
        "vector": vectors,
        "layer": layers,
        "alpha": st.sampled_from([0.5, 0]),
    },
    optional={"site": st.sampled_from(SITES), "only_if": st.sampled_from([None, CONDITION])},
)
masks = st.fixed_dictionaries(
    {
        "kind": st.just("router_mask"),
        "points": st.sampled_from([{"random": 0}, {"usage": "avg_all_assisted"}]),
        "count": st.integers(0, 1),
    }
)
compositions = st.just({"kind": "dac", "properties": [{"pairs": "styles"}], "strongest": 1})

OF_ALL = {
    "intervention": choices(steerings | masks | compositions),
    "sampling.max_new_tokens": st.just({"low": 1, "high": 3}),
    "prompt.style": st.just(["assisted", "agentic"]),
}
OF_STEERING = {
    **OF_ALL,
    "intervention.alpha": choices(st.sampled_from([0, 0.5, -1]))
    | st.sampled_from([{"low": 0, "high": 1}, {"low": -1, "high": 0}]),
    "intervention.layer": choices(layers, 3) | layer_ranges,
    "intervention.site": choices(st.sampled_from(SITES), 3),
    "intervention.only_if": choices(st.sampled_from([None, CONDITION])),
    "intervention.only_if.kind": st.just(["cosine", "probe"]),
    "intervention.only_if.threshold": st.just({"low": 0, "high": 1}),
    "intervention.positions": st.just(["all", "generated"]),
    "intervention.control": st.just(["none", "random"]),
    "intervention.vector": choices(vectors | st.lists(vectors, min_size=1, max_size=3)),
    "intervention.vector.layer": choices(layers | st.none(), 3) | layer_ranges,
    "intervention.vector.site": choices(st.sampled_from([None, *SITES]), 3),
    "intervention.vector.pairs": st.just(["styles", "answers"]),
    "intervention.vector.file": st.just(["/v"]),
    "intervention.vector.samples": st.just({"low": 2, "high": 4}),
}
OF_MASKS = {
    **OF_ALL,
    "intervention.count": choices(st.integers(0, 2)) | st.just({"low": 0, "high": 3}),
    "intervention.points": choices(st.sampled_from([{"random": 1}, {"usage": "avg_all_agentic"}])),
    "intervention.points.random": st.just({"low": 0, "high": 2}),
    "intervention.mode": st.just(["keep_topk", "replace_topk"]),
}


@st.composite
def spaces(draw):
    """A space over a few fields of an intervention, most of which give it an experiment."""
    section, of = draw(st.sampled_from([(steerings, OF_STEERING), (masks, OF_MASKS)]))
    names = st.lists(st.sampled_from(list(of)), min_size=1, max_size=4, unique=True)
    return space_over(draw(section), {name: draw(of[name]) for name in draw(names)})


def space_over(intervention, dimensions):
    values = {
        "name": "small",
        "model": "zoo/moe",
        "task": {"name": "micro_gsm8k"},
        "intervention": intervention,
        "search": {"space": dimensions, "splits": {"validation": 1, "test": 1}},
    }
    return space_of(Experiment.model_validate(values), SpecSource())


def everything(space: Space) -> list[Experiment]:
    """Every experiment that a space gives; of a range of fractions three values."""
    experiments = []
    for chosen in product(*map(_values, space.distributions.values())):
        params = dict(zip(space.distributions, chosen, strict=True))
        try:
            experiments.append(space.experiment(space.told(params)))
        except FieldError:
            continue  # such a trial fails
    return experiments


def _values(distribution):
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices
    if isinstance(distribution, IntDistribution):
        return range(distribution.low, distribution.high + 1, distribution.step)
    return distribution.low, (distribution.low + distribution.high) / 2, distribution.high


@given(spaces())
def test_a_space_needs_what_its_experiments_need_together(space):
    assert needs_of_space(space) == needs_of(everything(space))


def test_a_dose_of_nothing_hides_no_place_of_the_others():
    section = {"kind": "steering", "vector": {"pairs": "answers"}, "layer": 3, "alpha": 0}
    doses = {"intervention.alpha": {"low": 0, "high": 1}}
    ranged = {"low": 6, "high": 20, "step": 2}
    needs = needs_of_space(space_over(section, {**doses, "intervention.layer": ranged}))
    places = {(layer, "block") for layer in range(6, 21, 2)}
    assert needs == Declared(steered=dict.fromkeys(places, Steered(1)), read=frozenset(places))
    neutral = {**ranged, "step": 1}
    assert needs_of_space(space_over(section, {"intervention.layer": neutral})) == Declared()


@given(spaces(), st.data())
def test_the_test_samples_need_nothing_else(tmp_path_factory, space, data):
    """The best configuration, its neutral dose and its control are run as a spec of their own."""
    experiments = everything(space)
    if not experiments:
        return
    spec = tmp_path_factory.mktemp("best") / "best.yaml"
    spec.write_text(best_spec(data.draw(st.sampled_from(experiments)), 0, "exact_match"))
    cases = expand(*load(spec))
    assert needs_of_space(space).lacks(needs_of(case.experiment for case in cases)) is None
