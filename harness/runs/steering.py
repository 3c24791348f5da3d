"""From the steering section of a spec to the vectors and doses that it asks for.

Vectors from a file are read at collection. Vectors from pairs are built on the model when the first
case asks for them, from material that no evaluation sample is made of, and kept in the completion
store under every token and position that was read for them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from random import Random
from typing import Any

from harness.engines.base import Engine
from harness.errors import FieldError, TaskError
from harness.interventions.array import Array
from harness.interventions.steering import Condition, Steering, Term, check_terms
from harness.interventions.vector_file import SteeringVectors, read_vectors
from harness.measure.activation_cache import ActivationCache, activations_below
from harness.measure.steering_vectors import (
    PairReader,
    build_vectors,
    check_layers,
    random_control,
    readings_of_pairs,
)
from harness.models.loading import load_config
from harness.models.sites import hidden_shape
from harness.runs.progress import Progress
from harness.runs.store import CompletionStore, key_of
from harness.spec import Experiment
from harness.spec.steering import FileVector, PairVector, SteeringSettings
from harness.tasks import micro_gsm8k, micro_humaneval
from harness.tasks.contrast import ContrastPair, answer_pairs, read_pairs, style_pairs

_SEED = 0
_BUILT_IN = ("styles", "answers")


@dataclass
class VectorSource:
    """Finds the vectors of the cases of one model; keeps what it built."""

    engine: Engine
    progress: Progress
    store: CompletionStore | None = None
    _built: dict[str, SteeringVectors] = field(default_factory=dict)

    def steering(self, experiment: Experiment, settings: SteeringSettings) -> Steering:
        """The intervention of a case. Raises `FieldError` or `TaskError` for an impossible one."""
        if settings.alpha == 0:
            return Steering()  # no vector is needed for a dose of nothing
        if isinstance(settings.vector, FileVector):
            vectors = read_vectors(settings.vector.file)
        else:
            vectors = self._from_pairs(experiment, settings, settings.vector)
        steering = Steering(
            terms=tuple(
                _term(experiment, settings, vectors, layer) for layer in layers_of(settings)
            )
        )
        layers, width = hidden_shape(load_config(experiment.model))
        check_terms(steering, layers=layers, width=width)
        return steering

    def known(self, experiment: Experiment, settings: SteeringSettings) -> bool:
        """Whether the vectors are at hand without reading hidden states."""
        if settings.alpha == 0 or isinstance(settings.vector, FileVector):
            return True
        return self._stored(self._key(experiment, settings, settings.vector)) is not None

    def _from_pairs(
        self, experiment: Experiment, settings: SteeringSettings, vector: PairVector
    ) -> SteeringVectors:
        key = self._key(experiment, settings, vector)
        found = self._stored(key)
        if found is not None:
            return found
        pairs = pairs_for(experiment, vector)
        self.progress.note(f"building a {vector.method} vector from {len(pairs)} pairs")
        built = build_vectors(
            self.engine,
            pairs,
            layers=layers_of(settings),
            site=settings.site,
            position=vector.position,
            method=vector.method,
            read=self._reader(),
        )
        document = _to_json(built)
        if self.store is not None:
            document = self.store.agree(key, document, "vectors", self.engine.fingerprint)
        self._built[key] = _from_json(document)
        return self._built[key]

    def _reader(self) -> PairReader | None:
        """Reads through the cache that lies in the store, where there is one."""
        if self.store is None:
            return None
        folder = activations_below(self.store.directory)
        return ActivationCache(folder, fresh=self.store.fresh).pair_states

    def _stored(self, key: str) -> SteeringVectors | None:
        if key not in self._built and self.store is not None:
            document = self.store.value(key)
            if document is not None:
                self._built[key] = _from_json(document)
        return self._built.get(key)

    def _key(self, experiment: Experiment, settings: SteeringSettings, vector: PairVector) -> str:
        """The key of built vectors: how, where, and every token and position that is read."""
        readings = readings_of_pairs(
            self.engine.tokenizer,
            pairs_for(experiment, vector),
            layers=layers_of(settings),
            site=settings.site,
            position=vector.position,
        )
        read = [(reading.tokens, reading.capture.positions) for reading in readings]
        how = [vector.method, settings.site, layers_of(settings)]
        return key_of(self.engine.fingerprint, f"vectors {json.dumps([how, read])}")


def check_steering(experiment: Experiment, settings: SteeringSettings) -> None:
    """Raise `FieldError` for steering that cannot be, before weights are loaded."""
    layers, width = hidden_shape(load_config(experiment.model))
    check_layers(layers_of(settings), layers)
    if isinstance(settings.vector, FileVector):
        vectors = read_vectors(settings.vector.file)
        terms = [_term(experiment, settings, vectors, layer) for layer in layers_of(settings)]
        check_terms(Steering(terms=tuple(terms)), layers=layers, width=width)
    else:
        try:
            pairs_for(experiment, settings.vector)
        except TaskError as error:
            raise FieldError("intervention.vector.pairs", str(error)) from error
        if settings.only_if is not None and settings.only_if.kind == "probe":
            _check_probe(settings.vector)


def layers_of(settings: SteeringSettings) -> list[int]:
    """The layers that are steered, in the order written."""
    layer = settings.layer
    return [layer] if isinstance(layer, int) else list(layer)


def pairs_for(experiment: Experiment, vector: PairVector) -> tuple[ContrastPair, ...]:
    """The pairs that a vector is built from; raises TaskError where there are none."""
    if vector.pairs not in _BUILT_IN:
        return _first(read_pairs(vector.pairs), vector)
    return _built_in(vector.pairs, experiment.task.name, experiment.prompt.style, vector.samples)


@cache
def _built_in(kind: str, task: str, style: Any, samples: int) -> tuple[ContrastPair, ...]:
    """Pairs from training problems, which the evaluation's are held out from by content."""
    random = Random(_SEED)
    if task == "micro_humaneval" and kind == "styles":
        heads = [micro_humaneval.training_problem(random).prompt for _ in range(samples)]
        return style_pairs(heads, code=True)
    if task == "micro_gsm8k":
        problems = [micro_gsm8k.training_problem(random) for _ in range(samples)]
        if kind == "styles":
            return style_pairs([problem.question for problem in problems], code=False)
        worked = [(problem.question, problem.answer) for problem in problems]
        return answer_pairs(worked, style)
    raise TaskError(
        f"{kind}: there are no built-in pairs of this kind for {task}; give a file of pairs "
        "(./pairs.jsonl with prompt, positive and negative)"
    )


def _first(pairs: Sequence[ContrastPair], vector: PairVector) -> tuple[ContrastPair, ...]:
    return tuple(pairs[: vector.samples])


def _check_probe(vector: PairVector) -> None:
    if vector.method != "probe":
        raise FieldError(
            "intervention.only_if.kind",
            f"probe needs intervention.vector.method: probe, but it is {vector.method}; "
            "use kind: cosine",
        )


def _term(
    experiment: Experiment, settings: SteeringSettings, vectors: SteeringVectors, layer: int
) -> Term:
    """One layer's addition at the case's dose."""
    if layer not in vectors.vectors:
        held = ", ".join(map(str, vectors.vectors))
        raise FieldError(
            "intervention.layer", f"the file has no vector of layer {layer}; it has {held}"
        )
    if vectors.site != settings.site:
        raise FieldError(
            "intervention.site",
            f"{settings.site}, but the file's vectors are of site {vectors.site}",
        )
    vector = vectors.vectors[layer]
    if vector.norm == 0:
        raise FieldError(
            "intervention.vector", f"the vector of layer {layer} is zero: its pairs do not differ"
        )
    direction = vector
    if settings.control == "random":
        vector = random_control(vector, settings.control_seed)
    unit = vectors.unit(layer) if settings.units == "residual" else 1.0
    condition = None
    if settings.only_if is not None:
        condition = Condition(
            kind=settings.only_if.kind, direction=direction, threshold=settings.only_if.threshold
        )
    diminishing = settings.schedule == "diminishing"
    return Term(
        layer=layer,
        site=settings.site,
        vector=vector,
        alpha=settings.alpha * unit,
        positions=settings.positions,
        schedule=settings.schedule,
        over=experiment.sampling.max_new_tokens if diminishing else None,
        condition=condition,
    )


def _to_json(vectors: SteeringVectors) -> Mapping[str, Any]:
    return {
        "site": vectors.site,
        "vectors": [[layer, vector.to_json()] for layer, vector in vectors.vectors.items()],
        "residual_norms": [[layer, norm] for layer, norm in vectors.residual_norms.items()],
        "facts": dict(vectors.facts),
    }


def _from_json(document: Mapping[str, Any]) -> SteeringVectors:
    return SteeringVectors(
        document["site"],
        {layer: Array.from_json(vector) for layer, vector in document["vectors"]},
        dict(document["residual_norms"]),
        document["facts"],
    )
