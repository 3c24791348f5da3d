"""The engine on vLLM: requests of any mixture share its continuous batch.

What a request's intervention needs lies in tables of vLLM's workers (`worker/`), written once; the
request names rows of them (`conditions.py`). `docs/vllm.md` says what is done where.
"""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch

from harness.engines.contract import (
    Activations,
    Capture,
    Completion,
    FinishReason,
    Reading,
    Request,
    Scored,
    Scoring,
    Watch,
)
from harness.engines.declared import Declared
from harness.engines.decoding.endings import Endings
from harness.engines.decoding.rounds import in_rounds, parted, rows_of
from harness.engines.scoring import check_scoring
from harness.engines.vllm import deaths, reading, scoring
from harness.engines.vllm.abilities import Abilities
from harness.engines.vllm.availability import check_served, is_eager
from harness.engines.vllm.conditions import Conditions, Lease
from harness.engines.vllm.facts import ModelFacts
from harness.engines.vllm.fitting import check_passes
from harness.engines.vllm.ignored import check_ignored
from harness.engines.vllm.layout import check_layout
from harness.engines.vllm.requests import Refusals, parameters, prompt_of, refused, rejections
from harness.engines.vllm.running import Running
from harness.engines.vllm.scoring import Branch, ScoringRun
from harness.engines.vllm.self_test import check_untouched
from harness.engines.vllm.start import described, dtype_of, prepare, sequences, start
from harness.engines.vllm.workers import Workers
from harness.errors import FieldError, ModelError, RequestError
from harness.models.loading import load_config
from harness.models.sites import hidden_shape
from harness.spec.experiment import EngineSettings

_Ended = tuple[int, Completion]
_Asked = tuple[int, Request]


class VllmEngine:
    """Runs requests in vLLM. Not thread-safe: one `generate` or `forward` at a time.

    Args:
        model: The model's reference, as in a spec.
        settings: The engine section of a spec, with `name: vllm`.
        declared: What requests will need. An eager engine takes more at any time; one whose
            forward pass is compiled refuses requests that need more.
    """

    def __init__(
        self, model: str, settings: EngineSettings, declared: Declared | None = None
    ) -> None:
        prepare(settings)
        config = load_config(model)
        first = declared or Declared()
        check_layout(config, settings)
        check_passes(settings, functions=bool(first.changed))
        # Before its files are fetched and read.
        check_served(model, config)
        check_ignored(model, config, settings.columns)
        self._facts = ModelFacts.of(model, dtype_of(settings))
        self._facts.columns(settings.columns)
        self._settings = settings
        self._endings = Endings(self._facts)
        self.watch: Watch | None = None
        self._ids = 0
        #: Prompt tokens that the latest `generate` found in the prefix cache.
        self.reused = 0
        slots = sequences(settings)
        # A few requests more than run, so that a finished one's place is taken at once.
        self._window = slots + max(4, slots // 4)
        self._conditions = Conditions(rows=self._window + 1)
        self._conditions.declare(first)
        self._engine = start(self._facts, settings, self._conditions)
        # Tokens of the longest sequence that the cache holds.
        self._columns = int(self._engine.vllm_config.model_config.max_model_len)
        deaths.watch(self._engine.engine_core)
        self._workers = Workers(self._engine)
        self._refusals = Refusals(self._facts, settings, self._columns)
        self._abilities = Abilities(
            self._workers,
            self._conditions,
            self._refusals,
            self._answered,
            eager=is_eager(settings),
        )
        self._determinism = described(self._engine, settings, self._facts)
        try:
            dtype = self._determinism["dtype"]
            check_untouched(self._facts, self._scores, self.fingerprint, dtype, self._columns - 1)
            if first != Declared():
                self._abilities.grow(first)
        except BaseException:
            self.close()  # and its processes with it
            raise

    @property
    def tokenizer(self) -> Any:
        """The model's own tokenizer."""
        return self._facts.tokenizer

    @property
    def determinism(self) -> Mapping[str, str]:
        """What may change numerics."""
        return self._determinism

    @property
    def fingerprint(self) -> str:
        """Hash of the model's content and of everything in `determinism`."""
        content = {"model": self._facts.content_hash, **self.determinism}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def generate(self, requests: Iterable[Request]) -> Iterator[_Ended]:
        """Yield `(position, completion)` as requests finish; refused ones come first."""
        at_once, composed = parted(requests)
        yield from self._generate(at_once, self.watch)
        accepted: list[_Asked] = []
        for position, request in composed:
            rows = [replace(row, distribution=True) for row in rows_of(request)]
            if refusal := self._refusal(rows):
                yield position, refusal
            else:
                accepted.append((position, request))
        yield from in_rounds(
            accepted,
            lambda requests: self._generate(enumerate(requests), None),
            rows=self._window,
            context=self._columns,
            watch=self.watch,
        )

    def score(self, scorings: Iterable[Scoring]) -> Iterator[tuple[int, Scored]]:
        """Yield `(position, scored)` as scorings finish; refused ones come first."""
        run = ScoringRun()
        for position, each in enumerate(scorings):
            try:
                check_scoring(each, self._columns - 1, self._facts.vocabulary)
                self._refusals.check_intervention(each.intervention)
                self._abilities.allow(Declared.of([each.intervention]))
            except (RequestError, FieldError, ModelError) as error:
                yield position, Scored(error=str(error))
            else:
                run.add(position, each)
        try:
            while run.waiting or run.running:
                self._admit_branches(run)
                for output in self._steps() if run.running else ():
                    branch = run.ended(output)
                    if branch is not None:
                        run.take(branch, output, self._counted(branch), self._refusals.passed)
                yield from run.scored()
            yield from run.scored()
        finally:
            self._abandon(run.running)

    def forward(self, readings: Iterable[Reading]) -> Iterator[tuple[int, Activations]]:
        """Yield `(position, activations)`; an impossible reading raises `RequestError`."""
        asked = list(readings)
        layers, _ = hidden_shape(self._facts.config)
        for position, each in enumerate(asked):
            reading.check(position, each, self._columns, layers, self._facts.vocabulary)
            self._refusals.check_intervention(each.intervention)
        self._abilities.allow(reading.needed(asked))
        waiting = deque(enumerate(asked))
        running: dict[str, tuple[int, Reading, Lease]] = {}
        try:
            while waiting or running:
                self._admit_readings(waiting, running)
                for output in self._steps():
                    if not output.finished or output.request_id not in running:
                        continue
                    position, each, lease = running.pop(output.request_id)
                    lease.release()
                    # Asking for what was captured makes the workers forget it.
                    read = self._workers.captured(lease.id) if lease.payload else {}
                    yield position, reading.activations(each, output, read)
        finally:
            self._abandon(running)

    def readout(self, hidden: torch.Tensor) -> torch.Tensor:
        """Log-probabilities [..., V] read from block outputs [..., H]; on the CPU."""
        found = self._workers.readout(hidden.reshape(-1, hidden.shape[-1]))
        return found.view(*hidden.shape[:-1], -1)

    def forget(self) -> None:
        """Drop every prefix that could be reused."""
        self._engine.reset_prefix_cache()

    def close(self) -> None:
        """Stop vLLM and give its memory back."""
        from vllm.distributed import cleanup_dist_env_and_memory

        self._engine.engine_core.shutdown()
        del self._engine, self._workers
        cleanup_dist_env_and_memory()

    # Requests ------------------------------------------------------------------------------------

    def _generate(self, queue: Iterable[_Asked], watch: Watch | None) -> Iterator[_Ended]:
        """Run requests as they are, in one stream."""
        waiting: deque[_Asked] = deque()
        for position, request in queue:
            if refusal := self._refusal([request]):
                yield position, refusal
            else:
                waiting.append((position, request))
        yield from self._run(waiting, watch)

    def _refusal(self, rows: Sequence[Request]) -> Completion | None:
        """What comes of a request that needs these rows, if one of them cannot be run."""
        try:
            for row in rows:
                self._refusals.check(row)
            self._abilities.allow(Declared.of(row.intervention for row in rows))
        except (RequestError, FieldError, ModelError) as error:
            return refused(rows[0], error)
        return None

    def _run(self, waiting: deque[_Asked], watch: Watch | None = None) -> Iterator[_Ended]:
        self.reused = 0
        running: dict[str, Running] = {}
        try:
            while waiting or running:
                yield from self._admit(waiting, running)
                if running:
                    if watch is not None:
                        watch.flying([len(each.tokens) for each in running.values()])
                    ended = self._step(running)
                    if watch is not None:
                        watch.step([len(each.tokens) for each in running.values()])
                    yield from ended
        finally:
            # Cancelled in the middle: what is running is neither complete nor wanted.
            self._abandon(running)

    def _admit(self, waiting: deque[_Asked], running: dict[str, Running]) -> list[_Ended]:
        """Hand vLLM as many requests as have room; what it rejects fails alone."""
        rejected: list[_Ended] = []
        admitted: deque[Running] = deque()
        try:
            while waiting and len(running) + len(admitted) < self._window:
                position, request = waiting[0]
                try:
                    lease = self._conditions.lease(request.intervention, request.prompt_length)
                except RequestError as error:
                    rejected.append((position, refused(request, error)))
                    waiting.popleft()
                    continue
                if lease is None:
                    break
                waiting.popleft()
                admitted.append(Running(position, request, lease))
            self._workers.write([write for each in admitted for write in each.lease.writes])
            while admitted:
                each, request = admitted[0], admitted[0].request
                prompt = prompt_of(request.prompt, request.intervention, request.prompt_length)
                try:
                    self._add(each.lease, prompt, parameters(request, each.lease, self._facts))
                except rejections() as error:
                    each.lease.release()
                    rejected.append((each.position, refused(request, error)))
                else:
                    running[each.lease.name] = each
                admitted.popleft()
        finally:
            for each in reversed(admitted):  # the first to take a row gives it back last
                each.lease.release(written=False)
        return rejected

    def _step(self, running: dict[str, Running]) -> list[_Ended]:
        """One step of vLLM: the requests that ended in it, with what they counted."""
        ended: list[tuple[Running, FinishReason]] = []
        for output in self._steps():
            each = running.get(output.request_id)
            if each is None:
                continue
            reason = each.take(output.outputs[0], self._endings)
            if reason is not None and not output.finished:
                self._engine.abort_request([each.lease.name])
            elif reason is None and output.finished:
                reason = "error"
            if reason is not None:
                del running[output.request_id]
                self.reused += output.num_cached_tokens or 0
                ended.append((each, reason))
        counting = {each.lease.id: each.length for each, _ in ended if each.counts}
        counts = self._workers.counted(counting)
        completions: list[_Ended] = []
        for each, reason in ended:
            each.lease.release()
            if reason == "error":
                completions.append((each.position, refused(each.request, "vLLM gave it up")))
            else:
                counted = counts.get(each.lease.id, (0, 0, 0))
                completion = each.completion(reason, self._endings, counted, self._refusals.passed)
                completions.append((each.position, completion))
        return completions

    def _admit_readings(
        self,
        waiting: deque[tuple[int, Reading]],
        running: dict[str, tuple[int, Reading, Lease]],
    ) -> None:
        while waiting and len(running) < self._window:
            position, each = waiting[0]
            lease = self._conditions.lease(each.intervention, each.prompt)
            if lease is None:
                return
            waiting.popleft()
            if reading.captures(each.capture):
                lease.payload["captured"] = True
            prompt = prompt_of(each.tokens, each.intervention, each.prompt)
            try:
                self._hand_in(lease, prompt, reading.parameters(each, lease))
            except rejections() as error:
                raise RequestError(f"reading {position}: {error}") from error
            running[lease.name] = position, each, lease

    def _admit_branches(self, run: ScoringRun) -> None:
        """Hand vLLM as many continuations as have room; what it rejects fails alone."""
        while run.waiting and len(run.running) < self._window:
            branch, asked = run.waiting[0], run.waiting[0].scoring
            try:
                lease = self._conditions.lease(asked.intervention, asked.prompt_length)
                if lease is None:
                    return
                branch.lease = lease
                prompt = prompt_of(branch.tokens, asked.intervention, asked.prompt_length)
                self._hand_in(lease, prompt, scoring.parameters(branch))
            except (RequestError, *rejections()) as error:  # type: ignore[misc]  # a tuple of types
                run.reject(error)
            else:
                run.begin()

    def _counted(self, branch: Branch) -> Sequence[int]:
        """What the workers counted of a continuation that has ended; its rows are free then."""
        counts: Sequence[int] = (0, 0, 0)
        if branch.lease.payload.get("counted"):
            counts = self._workers.counted({branch.lease.id: branch.length})[branch.lease.id]
        branch.lease.release()
        if self.watch is not None:
            self.watch.read(branch.length)
        return counts

    def _steps(self) -> list[Any]:
        with deaths.told():
            outputs: list[Any] = self._engine.step()
        return outputs

    def _add(self, lease: Lease, prompt: Any, given: Any) -> None:
        """Hand a request to vLLM, which knows it by an id of its own inside."""
        self._ids += 1
        lease.name = f"titrate-{self._ids}"
        with deaths.told():
            lease.id = self._engine.add_request(lease.name, prompt, given, None, lease.adapter)

    def _hand_in(self, lease: Lease, prompt: Any, given: Any) -> None:
        """Write what a lease needs and hand its request to vLLM; it holds nothing if that fails."""
        try:
            self._workers.write(lease.writes)
            self._add(lease, prompt, given)
        except BaseException:  # interrupts too: no other code holds this lease yet
            lease.release(written=False)
            raise

    def _abandon(self, running: Mapping[str, Any]) -> None:
        """Take what is still running out of vLLM; nothing is kept of it, and its rows are free."""
        if not running:
            return
        leases = [each[2] if isinstance(each, tuple) else each.lease for each in running.values()]
        for lease in leases:
            lease.release()
        self._engine.abort_request(list(running))
        self._workers.forget([lease.id for lease in leases if lease.payload])

    def _scores(self, tokens: tuple[int, ...]) -> torch.Tensor:
        reading = Reading(tokens, Capture(token_log_probabilities=True))
        ((_, found),) = self.forward([reading])
        assert found.token_log_probabilities is not None, "they were asked for"
        return found.token_log_probabilities

    def _answered(self, requests: list[Request]) -> list[Completion]:
        completions = dict(self._run(deque(enumerate(requests))))
        return [completions[position] for position in range(len(requests))]
