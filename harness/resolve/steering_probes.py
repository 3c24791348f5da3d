"""Probes of a spec: the pairs of its vector, read at every layer of its model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from harness.engines.contract import Engine
from harness.engines.declared import Declared, places
from harness.errors import FieldError
from harness.interventions.steering.section import PairVector, SteeringSettings
from harness.measure.probes import LayerProbe, probe_layer
from harness.models.loading import load_config
from harness.models.sites import hidden_shape
from harness.resolve.activation_cache import ActivationCache
from harness.resolve.contrast_pairs import check_pairs, pairs_for
from harness.spec import Experiment
from harness.tasks.contrast import ContrastPair


@dataclass(frozen=True)
class Probing:
    """What is to be probed: found before a model is loaded."""

    experiment: Experiment
    settings: SteeringSettings
    vector: PairVector
    pairs: tuple[ContrastPair, ...]
    layers: tuple[int, ...]

    @property
    def needs(self) -> Declared:
        """What an engine is asked by `run`."""
        return Declared(read=places(self.layers, self.settings.site_of(self.vector)))

    def run(
        self,
        engine: Engine,
        cache: ActivationCache,
        *,
        folds: int,
        seed: int,
        done: Callable[[LayerProbe], None] = lambda _: None,
    ) -> list[LayerProbe]:
        """Probe every layer; `done` is told of each."""
        positive, negative = cache.pair_states(
            engine,
            self.pairs,
            layers=self.layers,
            site=self.settings.site_of(self.vector),
            position=self.vector.position,
        )
        probes = []
        for layer in self.layers:
            probes.append(
                probe_layer(layer, positive[layer], negative[layer], folds=folds, seed=seed)
            )
            done(probes[-1])
        return probes

    def facts(self, engine: Engine, *, folds: int, seed: int) -> dict[str, Any]:
        """What the numbers are of, for their file."""
        return {
            "model": self.experiment.model,
            "engine": engine.fingerprint,
            "task": self.experiment.task.title,
            "pairs": self.vector.pairs,
            "count": len(self.pairs),
            "site": self.settings.site_of(self.vector),
            "position": self.vector.position,
            "folds": folds,
            "seed": seed,
        }


def probing(experiment: Experiment) -> Probing:
    """What a spec's probes read; raises `FieldError` for a spec that has no pairs to probe."""
    settings = experiment.intervention
    if not isinstance(settings, SteeringSettings):
        raise FieldError("intervention", "probes need the pairs of a steering vector")
    vector = settings.vectors[0]
    if len(settings.vectors) > 1 or not isinstance(vector, PairVector):
        raise FieldError("intervention.vector", "probes need the pairs of one vector, not others")
    check_pairs(experiment, vector, vector.position, "intervention.vector")
    pairs = pairs_for(experiment, vector)
    layers, _ = hidden_shape(load_config(experiment.model))
    return Probing(experiment, settings, vector, pairs, tuple(range(layers)))
