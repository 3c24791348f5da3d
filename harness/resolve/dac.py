"""From the dac section of a spec to the properties that it asks for.

Differences of pairs are measured on the model when the first case asks for them, and kept in the
completion store under every token that was read for them; those of a file are read at collection.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from functools import cache, cached_property, partial
from typing import Any

from harness.engines.declared import Declared, Place, Steered, places
from harness.errors import FieldError, TaskError
from harness.interventions.array import Array
from harness.interventions.dac.description import DAC, LayerDifference, Property
from harness.interventions.dac.section import DacSettings, FileProperty, PairProperty
from harness.interventions.residual import check_terms
from harness.interventions.steering_terms import Site
from harness.interventions.vector_file import read_vectors
from harness.measure.differences import build_differences, rotated, sides_of
from harness.measure.steering_vectors import check_layers
from harness.models.loading import load_config, load_tokenizer
from harness.models.sites import hidden_shape
from harness.resolve.contrast_pairs import about_pairs, pairs_for
from harness.resolve.layer_arrays import arrays_from, of_shape
from harness.resolve.resolution import Resolution
from harness.spec import Experiment
from harness.store.completions import key_of
from harness.store.kept_vectors import KeptVectors
from harness.store.record_shapes import DIFFERENCES
from harness.tasks.contrast import ContrastPair


class DacResolution(Resolution[DacSettings]):
    """Finds the properties of the cases of one model; keeps what it measured."""

    @cached_property
    def _kept(self) -> KeptVectors[Mapping[int, Array]]:
        return KeptVectors(self.engine, self.store, _from_json)

    @staticmethod
    def check(experiment: Experiment, settings: DacSettings) -> None:
        """Find names, layers, pairs and files that cannot be."""
        check_dac(experiment, settings)

    @staticmethod
    def measured(experiment: Experiment, settings: DacSettings) -> str | None:  # noqa: ARG004 - differences are the same for every task
        """Differences of pairs."""
        named = [each.called for each in settings.properties if isinstance(each, PairProperty)]
        return f"differences of {', '.join(named)}" if named and settings.strongest else None

    @classmethod
    def needs(cls, experiment: Experiment, settings: DacSettings) -> Declared:
        """Every property at all of its layers, and those of pairs read there."""
        if not settings.strongest:
            return Declared()
        steered: Counter[Place] = Counter()
        read: frozenset[Place] = frozenset()
        for each in settings.properties:
            if isinstance(each, PairProperty):
                own = places(_layers(experiment, each), each.site)
                read |= own
            else:
                found = _from_file(each, settings)
                own = places((one.layer for one in found.differences), found.site)
            steered.update(own)
        return Declared(steered={place: Steered(n) for place, n in steered.items()}, read=read)

    def resolve(self, experiment: Experiment, settings: DacSettings) -> DAC:
        """The properties, and how they are composed.

        A neutral one measures nothing: its properties have no differences.
        """
        properties = []
        for each in settings.properties:
            if not settings.strongest:
                properties.append(Property(name=each.called, differences=()))
            elif isinstance(each, FileProperty):
                properties.append(_from_file(each, settings))
            else:
                found = self._from_pairs(experiment, each)
                properties.append(_property(each.called, each.site, found, settings))
        dac = DAC(
            properties=tuple(properties),
            strongest=settings.strongest,
            top_p=settings.top_p,
            direction=settings.direction,
            mean_divergence=settings.mean_divergence,
        )
        _check(dac, experiment)
        return dac

    def known(self, experiment: Experiment, settings: DacSettings) -> bool:
        """Whether the differences are at hand without reading hidden states."""
        return not settings.strongest or all(
            isinstance(each, FileProperty) or self._found(experiment, each) is not None
            for each in settings.properties
        )

    def _from_pairs(self, experiment: Experiment, wanted: PairProperty) -> Mapping[int, Array]:
        found = self._found(experiment, wanted)
        if found is not None:
            return found
        pairs = pairs_for(experiment, wanted)
        self.progress.note(f"measuring the differences of {len(pairs)} pairs of {wanted.called}")
        measured = build_differences(
            self.engine,
            sides_of(self.engine.tokenizer, pairs, wanted.steps),
            layers=_layers(experiment, wanted),
            site=wanted.site,
            steps=wanted.steps,
        )
        document = [[layer, own.to_json()] for layer, own in measured.items()]
        fits = partial(of_shape, layers=_layers(experiment, wanted), experiment=experiment)
        return self._kept.keep(self._key(experiment, wanted), document, fits)

    def _found(self, experiment: Experiment, wanted: PairProperty) -> Mapping[int, Array] | None:
        """What was measured before, by this run or by another."""
        fits = partial(of_shape, layers=_layers(experiment, wanted), experiment=experiment)
        return self._kept.get(self._key(experiment, wanted), fits)

    def _key(self, experiment: Experiment, wanted: PairProperty) -> str:
        """The key of measured differences: how, where, and every token that they begin with."""
        sides = sides_of(self.engine.tokenizer, pairs_for(experiment, wanted), wanted.steps)
        read = [(side.prompt, side.following) for side in sides]
        how = [wanted.site, _layers(experiment, wanted), wanted.steps]
        return key_of(self.engine.fingerprint, f"differences {json.dumps([how, read])}")


def check_dac(experiment: Experiment, settings: DacSettings) -> None:
    """Raise `FieldError` for what cannot be, before weights are loaded."""
    count, _ = hidden_shape(load_config(experiment.model))
    names = [each.called for each in settings.properties]
    for index, each in enumerate(settings.properties):
        place = f"intervention.properties[{index}]"
        if names.index(each.called) < index:
            raise FieldError(
                f"{place}.name",
                f"{each.called!r} is the name of another property; give this a name",
            )
        if isinstance(each, PairProperty):
            try:
                check_layers(_layers(experiment, each), count)
                _check_sides(experiment.model, pairs_for(experiment, each), each.steps)
            except FieldError as error:
                raise FieldError(f"{place}.layers", error.problem) from error
            except TaskError as error:
                raise FieldError(f"{place}.pairs", about_pairs(error)) from error
        else:
            try:
                read = _from_file(each, settings)
                _check(DAC(properties=(read,)), experiment)
            except FieldError as error:
                raise FieldError(f"{place}.file", error.problem) from error


@cache
def _check_sides(model: str, pairs: tuple[ContrastPair, ...], steps: int) -> None:
    """Raise `TaskError` for pairs that the model's tokenizer cannot tell apart or render."""
    sides_of(load_tokenizer(model), pairs, steps)


def _check(dac: DAC, experiment: Experiment) -> None:
    layers, width = hidden_shape(load_config(experiment.model))
    composed = dac.composed([[dac.strongest]] * len(dac.properties))
    check_terms(composed.terms, layers=layers, width=width)


def _from_file(wanted: FileProperty, settings: DacSettings) -> Property:
    vectors = read_vectors(wanted.file)
    return _property(wanted.called, vectors.site, vectors.vectors, settings)


def _property(
    name: str, site: Site, differences: Mapping[int, Array], settings: DacSettings
) -> Property:
    """A property of these differences, or of random ones of the same shape."""
    return Property(
        name=name,
        site=site,
        differences=tuple(
            LayerDifference(
                layer=layer,
                vector=rotated(own, settings.control_seed + layer)
                if settings.control == "random"
                else own,
            )
            for layer, own in differences.items()
        ),
    )


def _layers(experiment: Experiment, wanted: PairProperty) -> list[int]:
    count, _ = hidden_shape(load_config(experiment.model))
    return list(range(count)) if wanted.layers is None else wanted.layers


def _from_json(document: Any) -> Mapping[int, Array]:
    return arrays_from(DIFFERENCES.validate_python(document))
