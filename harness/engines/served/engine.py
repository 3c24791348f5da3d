"""The engine that asks a server: completions over HTTP, and scores where the server gives them.

A request that the server could not be brought to answer has failed; one that cannot be asked, by
what is known of the model and the road, is refused, as by every engine. `docs/served.md`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from harness.engines.contract import (
    Activations,
    Completion,
    Reading,
    Request,
    Scored,
    Scoring,
    Watch,
)
from harness.engines.scoring import Gathering, check_scoring
from harness.engines.served.answers import Unusable
from harness.engines.served.client import Call, Client
from harness.engines.served.identity import identify, served_name
from harness.engines.served.roads import road_to
from harness.engines.served.tokens import TokensRoad
from harness.errors import ModelError, RequestError
from harness.interventions.base import Intervention
from harness.spec.experiment import EngineSettings

if TYPE_CHECKING:
    import torch

    from harness.engines.declared import Declared


class ServedEngine:
    """Asks the server of a model. Not thread-safe: one `generate` or `score` at a time.

    Args:
        model: The model's reference, as in a spec: whose tokenizer requests are made by, unless
            the road is chat.
        settings: The engine section of a spec, with `name: served`.

    Raises:
        ModelError: no server answers, it serves another model, or not by this road.
    """

    def __init__(self, model: str, settings: EngineSettings) -> None:
        self.watch: Watch | None = None
        self._url = str(settings.base_url)
        self._client = Client(settings)
        try:
            identity = identify(self._client, model, settings)
            name = served_name(model, settings)
            self._road = road_to(model, name, settings, identity.context)
            self._determinism = {
                **identity.told,
                "server's fingerprint": self._probed(),
                "tokenizer": _hash(self._road.tokenizer),
                "titrate": version("pytest-titrate"),
                "openai": version("openai"),
            }
        except BaseException:
            self.close()
            raise

    @property
    def tokenizer(self) -> Any:
        """The model's own, or one of bytes where its own is unknown."""
        return self._road.tokenizer

    @property
    def determinism(self) -> Mapping[str, str]:
        """What the server tells of what may change its numbers, and what it does not."""
        return self._determinism

    @property
    def fingerprint(self) -> str:
        """Hash of everything in `determinism`; of weights it knows their name alone."""
        return hashlib.sha256(json.dumps(self._determinism, sort_keys=True).encode()).hexdigest()

    @property
    def spent(self) -> int:
        """Tokens of prompts and completions that the server was asked for so far."""
        return self._client.spent

    def generate(self, requests: Iterable[Request]) -> Iterator[tuple[int, Completion]]:
        """Yield `(position, completion)` as answers come; what cannot be asked comes first."""
        asked: list[tuple[tuple[int, Request], Call]] = []
        for position, request in enumerate(requests):
            try:
                _check(request.intervention, distribution=request.distribution or request.logged)
                asked.append(((position, request), self._road.call(request)))
            except RequestError as error:
                yield position, Completion((), "", "error", error=f"{request.sample}: {error}")
        for reply in self._client.ask(asked):
            position, request = reply.of
            if self.watch is not None:
                self.watch.read(len(request.prompt))
            try:
                completion = self._road.completion(request, reply.said())
            except Unusable as error:
                why = f"{request.sample}: {error}"
                completion = Completion((), "", "failed", error=why, answer=reply.document)
            yield position, completion

    def score(self, scorings: Iterable[Scoring]) -> Iterator[tuple[int, Scored]]:
        """Yield `(position, scored)` as scorings finish; only vLLM's server tells what it takes."""
        gathered: dict[int, Gathering] = {}
        answers: dict[int, dict[int, Any]] = {}
        asked: list[tuple[tuple[int, int, Scoring], Call]] = []
        for position, each in enumerate(scorings):
            try:
                _check(each.intervention)
                road = self._scoring_road()
                check_scoring(each, road.longest, road.vocabulary)
            except RequestError as error:
                yield position, Scored(error=str(error))
                continue
            gathered[position], answers[position] = Gathering(each), {}
            if gathered[position].complete:
                yield position, gathered.pop(position).scored()
            for index, continuation in enumerate(each.continuations):
                if continuation:
                    asked.append(((position, index, each), road.branch(each, index)))
        for reply in self._client.ask(asked):
            position, index, each = reply.of
            try:
                scores = self._scoring_road().scores(each, index, reply.said())
                gathered[position].add(index, *scores)
            except Unusable as error:
                gathered[position].fail(index, error)
            answers[position][index] = reply.document
            if self.watch is not None:
                self.watch.read(len(each.context) + len(each.continuations[index]))
            if gathered[position].complete:
                scored = gathered.pop(position).scored()
                said = answers.pop(position)
                raw = tuple(said.get(at) for at in range(len(each.continuations)))
                yield position, scored if scored.error else replace(scored, answers=raw)

    def forward(self, readings: Iterable[Reading]) -> Iterator[tuple[int, Activations]]:
        """Refused: a server shows nothing of a model's inside."""
        del readings
        raise RequestError("served reads no model from inside; use engine.name: transformers")

    def readout(self, hidden: torch.Tensor) -> torch.Tensor:
        """Refused as well."""
        del hidden
        raise ModelError("served has no model's head here; use engine.name: transformers")

    def close(self) -> None:
        """End the connection."""
        self._client.close()

    def _scoring_road(self) -> TokensRoad:
        """Raises `RequestError` for a road on which nothing can be scored."""
        if not isinstance(self._road, TokensRoad):
            raise RequestError(
                "given tokens are scored on engine.road: tokens alone, by vLLM's server"
            )
        return self._road

    def _probed(self) -> str:
        """What the server calls its configuration, told with the answer to a first question."""
        probe = self._road.probe()
        if probe is None:
            return "not told"
        (reply,) = self._client.ask([(None, probe)])
        try:
            answer = self._road.check(reply.said())
        except Unusable as error:
            raise ModelError(f"engine.base_url {self._url}: {error}") from None
        told = answer.get("system_fingerprint")
        # Elsewhere it may name one of many machines, which is another one at the next request.
        return str(told) if told and isinstance(self._road, TokensRoad) else "not told"


def opened(model: str, settings: EngineSettings, needs: Declared | None = None) -> ServedEngine:
    """The engine of a model; a server needs to be told nothing before."""
    del needs
    return ServedEngine(model, settings)


def _check(intervention: Intervention | None, *, distribution: bool = False) -> None:
    """Raise `RequestError` for what no server is asked."""
    if distribution:
        raise RequestError("a server does not give whole distributions")
    if intervention is not None:
        raise RequestError(
            f"intervention {intervention.kind} is not applied by a server; use another engine.name"
        )


def _hash(tokenizer: Any) -> str:
    """Of a tokenizer's whole content."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    content = backend.to_str() if backend is not None else json.dumps(tokenizer.get_vocab())
    return hashlib.sha256(content.encode()).hexdigest()
