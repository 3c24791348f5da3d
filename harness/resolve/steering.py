"""From the steering section of a spec to the vectors and doses that it asks for.

Vectors from a file are read at collection. Vectors from pairs are built on the model when the first
case asks for them, from material that no evaluation sample is made of, and kept in the completion
store under every token and position that was read for them.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from harness.engines.declared import Declared, Place, Steered, places
from harness.errors import FieldError
from harness.interventions.residual import check_terms
from harness.interventions.steering.description import Steering
from harness.interventions.steering.section import FileVector, PairVector, SteeringSettings
from harness.interventions.vector_file import Logistic, SteeringVectors, read_vectors
from harness.measure.steering_vectors import (
    PairReader,
    build_vectors,
    check_layers,
    pair_states,
    readings_of_pairs,
)
from harness.models.loading import load_config
from harness.models.sites import hidden_shape
from harness.resolve.activation_cache import ActivationCache
from harness.resolve.contrast_pairs import BUILT_IN, check_pairs, pairs_for
from harness.resolve.layer_arrays import arrays_from, of_shape
from harness.resolve.resolution import Resolution
from harness.resolve.steering_additions import check_file, field_of, terms_of
from harness.spec import Experiment
from harness.store.completions import key_of
from harness.store.kept_vectors import KeptVectors
from harness.store.places import activations_below
from harness.store.record_shapes import VECTORS


class SteeringResolution(Resolution[SteeringSettings]):
    """Finds the vectors of the cases of one model; keeps what it built."""

    @cached_property
    def _kept(self) -> KeptVectors[SteeringVectors]:
        return KeptVectors(self.engine, self.store, _from_json)

    @staticmethod
    def check(experiment: Experiment, settings: SteeringSettings) -> None:
        """Find layers, pairs and files that cannot be."""
        check_steering(experiment, settings)

    @staticmethod
    def measured(experiment: Experiment, settings: SteeringSettings) -> str | None:  # noqa: ARG004 - a vector is a vector for every task
        """Vectors that are built from pairs."""
        built = [each for each in settings.vectors if isinstance(each, PairVector)]
        if not built or not settings.alpha:
            return None
        return ", ".join(f"{each.method} vector of {each.pairs}" for each in built)

    @classmethod
    def needs(cls, experiment: Experiment, settings: SteeringSettings) -> Declared:  # noqa: ARG003 - as above
        """The places that are steered, and those that pairs are read at."""
        if not settings.alpha:
            return Declared()
        held: Counter[Place] = Counter()
        for vector in settings.vectors:
            held.update(places(settings.layers_of(vector), settings.site_of(vector)))
        conditional = settings.only_if is not None
        steered = {place: Steered(terms, conditional) for place, terms in held.items()}
        return Declared(steered=steered) | needs_of_building(settings)

    def resolve(self, experiment: Experiment, settings: SteeringSettings) -> Steering:
        """The additions of all vectors."""
        if settings.alpha == 0:
            return Steering()  # no vector is needed for a dose of nothing
        found = [
            read_vectors(vector.file)
            if isinstance(vector, FileVector)
            else self.built(experiment, settings, vector)
            for vector in settings.vectors
        ]
        return _steering(experiment, settings, found)

    def known(self, experiment: Experiment, settings: SteeringSettings) -> bool:
        """Whether the vectors are at hand without reading hidden states."""
        return settings.alpha == 0 or all(
            isinstance(vector, FileVector) or self._found(experiment, settings, vector) is not None
            for vector in settings.vectors
        )

    def built(
        self, experiment: Experiment, settings: SteeringSettings, vector: PairVector
    ) -> SteeringVectors:
        """The vectors of one entry of the section, from its pairs."""
        found = self._found(experiment, settings, vector)
        if found is not None:
            return found
        pairs = pairs_for(experiment, vector)
        self.progress.note(f"building a {vector.method} vector from {len(pairs)} pairs")
        built = build_vectors(
            self.engine,
            pairs,
            layers=settings.layers_of(vector),
            site=settings.site_of(vector),
            position=vector.position,
            method=vector.method,
            facts=built_from(experiment, vector),
            read=self._reader(),
        )
        key, fits = self._key(experiment, settings, vector), _fitting(experiment, settings, vector)
        return self._kept.keep(key, _to_json(built), fits)

    def _found(
        self, experiment: Experiment, settings: SteeringSettings, vector: PairVector
    ) -> SteeringVectors | None:
        """What was built before, by this run or by another."""
        key = self._key(experiment, settings, vector)
        return self._kept.get(key, _fitting(experiment, settings, vector))

    def _reader(self) -> PairReader:
        """Reads through the cache that lies in the store, where there is one."""
        if self.store is None:
            return pair_states
        folder = activations_below(self.store.directory)
        return ActivationCache(folder, fresh=self.store.fresh).pair_states

    def _key(self, experiment: Experiment, settings: SteeringSettings, vector: PairVector) -> str:
        """The key of built vectors: how, where, and every token and position that is read."""
        layers, site = settings.layers_of(vector), settings.site_of(vector)
        readings = readings_of_pairs(
            self.engine.tokenizer,
            pairs_for(experiment, vector),
            layers=layers,
            site=site,
            position=vector.position,
        )
        read = [(reading.tokens, reading.capture.positions) for reading in readings]
        how: list[Any] = [vector.method, site, layers]
        if vector.method == "probe":
            how.append("with its probabilities")
        return key_of(
            self.engine.fingerprint, f"vectors and residual norms {json.dumps([how, read])}"
        )


def needs_of_building(settings: SteeringSettings) -> Declared:
    """What reading the pairs of a section's vectors needs, whatever is then steered by them.

    The residual stream is read as well, in whose lengths every vector is kept.
    """
    read: frozenset[Place] = frozenset()
    for vector in settings.vectors:
        if isinstance(vector, PairVector):
            layers = settings.layers_of(vector)
            read |= places(layers, settings.site_of(vector)) | places(layers)
    return Declared(read=read)


def built_from(experiment: Experiment, vector: PairVector) -> dict[str, str]:
    """What a vector's file says of its origin, beside how it was built."""
    config = load_config(experiment.model)
    return {
        "source": Path(vector.pairs).name if vector.pairs not in BUILT_IN else vector.pairs,
        "task": experiment.task.title,
        "model": experiment.model,
        "model_type": str(config.get_text_config().model_type),
        "layers": str(hidden_shape(config)[0]),
    }


def check_steering(experiment: Experiment, settings: SteeringSettings) -> None:
    """Raise `FieldError` for steering that cannot be, before weights are loaded."""
    layers, _ = hidden_shape(load_config(experiment.model))
    files = []
    for vector in settings.vectors:
        where = field_of(settings, vector)
        own = "intervention.layer" if vector.layer is None else f"{where}.layer"
        check_layers(settings.layers_of(vector), layers, own)
        if isinstance(vector, FileVector):
            files.append(vector)
            continue
        check_pairs(experiment, vector, vector.position, where)
        if settings.only_if is not None and settings.only_if.kind == "probe":
            _check_probe(vector)
    if files:
        only = settings.model_copy(update={"vector": files})
        _steering(experiment, only, [_read(settings, vector) for vector in files])


def _steering(
    experiment: Experiment, settings: SteeringSettings, found: list[SteeringVectors]
) -> Steering:
    """The additions of all vectors, checked against the model's shape."""
    layers, width = hidden_shape(load_config(experiment.model))
    terms = []
    for index, (vector, vectors) in enumerate(zip(settings.vectors, found, strict=True)):
        if isinstance(vector, FileVector):
            check_file(vectors, vector.file, experiment.model, layers, field_of(settings, vector))
        terms += terms_of(experiment, settings, index, vectors)
    steering = Steering(terms=tuple(terms))
    check_terms(steering.terms, layers=layers, width=width)
    return steering


def _read(settings: SteeringSettings, vector: FileVector) -> SteeringVectors:
    """The vectors of a file; what is wrong with it is told at its own place in the spec."""
    try:
        return read_vectors(vector.file)
    except FieldError as error:
        raise FieldError(f"{field_of(settings, vector)}.file", error.problem) from error


def _check_probe(vector: PairVector) -> None:
    if vector.method != "probe":
        raise FieldError(
            "intervention.only_if.kind",
            f"probe needs intervention.vector.method: probe, but it is {vector.method}; "
            "use kind: cosine",
        )


def _to_json(vectors: SteeringVectors) -> Mapping[str, Any]:
    return {
        "site": vectors.site,
        "vectors": [[layer, vector.to_json()] for layer, vector in vectors.vectors.items()],
        "residual_norms": [[layer, norm] for layer, norm in vectors.residual_norms.items()],
        "facts": dict(vectors.facts),
        "probes": [[layer, list(probe)] for layer, probe in vectors.probes.items()],
    }


def _from_json(document: Any) -> SteeringVectors:
    shape = VECTORS.validate_python(document)
    return SteeringVectors(
        shape["site"],
        arrays_from(shape["vectors"]),
        dict(shape["residual_norms"]),
        shape["facts"],
        {layer: Logistic(*probe) for layer, probe in shape.get("probes", ())},
    )


def _fitting(
    experiment: Experiment, settings: SteeringSettings, vector: PairVector
) -> Callable[[SteeringVectors], bool]:
    """What tells the vectors that an entry asks for from others."""

    def fits(found: SteeringVectors) -> bool:
        layers = settings.layers_of(vector)
        named = {*layers} if vector.method == "probe" else set()
        return (
            of_shape(found.vectors, layers, experiment)
            and found.site == settings.site_of(vector)
            and found.residual_norms.keys() >= set(layers)
            and found.probes.keys() >= named
        )

    return fits
