"""The embedded engine: one transformers model, requests of any mixture in one stream.

`generate` keeps a fixed number of slots busy: as sequences end, waiting ones take their slots, so
that a sweep's conditions share every forward pass. `score` and `forward` read given tokens, in
padded batches. See `slots.py` for the cache, `loop.py` for the loop, `scoring.py` for scores,
`row_interventions.py` for what is done to the rows.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.metadata import version
from typing import Any, Literal

import torch
import transformers

from harness.engines.company import CacheNeed
from harness.engines.contract import (
    Activations,
    Completion,
    Reading,
    Request,
    Scored,
    Scoring,
    Watch,
)
from harness.engines.decoding.rounds import in_rounds, parted, rows_of
from harness.engines.decoding.rules import initial_states
from harness.engines.decoding.siblings import SiblingTexts
from harness.engines.scoring import check_scoring
from harness.engines.transformers.attention import attention_implementation, grouped_attention
from harness.engines.transformers.cache_sizes import CacheSize, CacheSizes
from harness.engines.transformers.experts import experts_as, experts_implementation
from harness.engines.transformers.loop import DecodingRun
from harness.engines.transformers.passes import Work
from harness.engines.transformers.products import packed_products, products_implementation
from harness.engines.transformers.reading import read
from harness.engines.transformers.readout import Readout
from harness.engines.transformers.row_interventions import InterventionSet
from harness.engines.transformers.scoring import score
from harness.engines.transformers.slots import rounded_columns
from harness.engines.transformers.stage import Stage
from harness.engines.transformers.trial import check_model
from harness.errors import FieldError, ModelError, RequestError
from harness.models.loading import LoadedModel
from harness.models.sites import site_module

# Fixed shapes must not depend on the machine's free memory.
_STRICT_SLOTS = 32


class TransformersEngine:
    """Runs requests on a loaded model. Not thread-safe: one `generate` or `forward` at a time.

    Args:
        loaded: The model.
        slots: Sequences decoded at once; by default as many as pay off and fit into memory.
        columns: Tokens per sequence in the cache; by default what the longest request needs, or
            the model's context where shapes are fixed.
        drafts: Propose what completed requests of the same sample said. Never changes tokens.
        determinism: `strict` gives every pass the same shape and reuses nothing, so that a
            request's tokens do not depend on what it is batched with. It costs speed.
    """

    def __init__(
        self,
        loaded: LoadedModel,
        *,
        slots: int | None = None,
        columns: int | None = None,
        drafts: bool = True,
        determinism: Literal["fast", "strict"] = "fast",
    ) -> None:
        self.loaded = loaded
        self._slots = slots
        self._columns = columns
        self._drafts = drafts and determinism == "fast"
        # Kept for runs to come: a baseline runs before what is compared with it.
        self._said = SiblingTexts()
        self._strict = determinism == "strict"
        self._stage: Stage | None = None
        self._readout: Readout | None = None
        #: What the latest `generate` cost.
        self.work = Work()
        check_model(loaded, strict=self._strict)
        self._sizes = CacheSizes(loaded, slots, columns)
        self.watch: Watch | None = None
        # Read once: transformers' configurations take microseconds for every attribute.
        self._context = loaded.context
        self._vocabulary = loaded.model.get_input_embeddings().num_embeddings

    @property
    def tokenizer(self) -> Any:
        """The model's own tokenizer."""
        return self.loaded.tokenizer

    @property
    def determinism(self) -> Mapping[str, str]:
        """What may change numerics."""
        settings = {
            "engine": "transformers",
            "policy": "strict" if self._strict else "fast",
            "device": _device_name(self.loaded.device),
            "dtype": str(self.loaded.model.dtype).removeprefix("torch."),
            "attention": attention_implementation(self.loaded.model),
            "experts": experts_implementation(self.loaded.model, strict=self._strict) or "none",
            "products": products_implementation(self.loaded.model),
            "precision": torch.get_float32_matmul_precision(),
            "kernels": torch.backends.cpu.get_cpu_capability(),
            "threads": str(torch.get_num_threads()),
            "titrate": version("pytest-titrate"),
            "torch": torch.__version__,
            "transformers": transformers.__version__,
        }
        if self._strict:
            slots, columns = self._fixed_shape()
            settings["geometry"] = f"{slots} rows, {columns} columns"
        if self.loaded.quantisation:
            settings["quantisation"] = f"{self.loaded.quantisation}, dequantised"
        return settings

    @property
    def fingerprint(self) -> str:
        """Hash of the model's content and of everything in `determinism`."""
        content = {"model": self.loaded.content_hash, **self.determinism}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def generate(self, requests: Iterable[Request]) -> Iterator[tuple[int, Completion]]:
        """Yield `(position, completion)` as requests finish; refused ones come first."""
        self.work = Work(watch=self.watch)
        at_once, composed = parted(requests)
        yield from self._decode(at_once, self._said)
        if composed:
            self.work.watch = None  # whole rounds are what is watched
            yield from self._in_rounds(composed)

    def _decode(
        self, queue: Sequence[tuple[int, Request]], said: SiblingTexts
    ) -> Iterator[tuple[int, Completion]]:
        """Run requests in one stream, with drafts of what was said of their samples."""
        stage = self._stage_for([request for _, request in queue])
        accepted: list[tuple[int, Request]] = []
        for position, request in queue:
            try:
                self._check(request, stage)
            except (RequestError, FieldError, ModelError) as error:
                yield position, _refused(request, error)
            else:
                accepted.append((position, request))
        run = DecodingRun(
            self.loaded,
            accepted,
            stage,
            self.work,
            strict=self._strict,
            siblings=said if self._drafts else None,
        )
        try:
            yield from run.run()
        finally:
            if stage.running:
                # Cancelled in the middle: what was running is neither complete nor wanted.
                self._stage = None

    def _in_rounds(self, queue: Sequence[tuple[int, Request]]) -> Iterator[tuple[int, Completion]]:
        """Run requests whose doses are decided token by token, on one stage for all rounds."""
        rows = [rows_of(request) for _, request in queue]
        stage = self._stage_for([row for own in rows for row in own])
        accepted: list[tuple[int, Request]] = []
        for (position, request), own in zip(queue, rows, strict=True):
            try:
                self._check(own[0], stage)
            except (RequestError, FieldError, ModelError) as error:
                yield position, _refused(request, error)
            else:
                accepted.append((position, request))
        yield from in_rounds(
            accepted,
            # Pieces of texts: what was said in an earlier round is no sibling of the next one's.
            lambda requests: self._decode(list(enumerate(requests)), SiblingTexts()),
            rows=stage.slots,
            context=self._context,
            watch=self.watch,
        )

    def score(self, scorings: Iterable[Scoring]) -> Iterator[tuple[int, Scored]]:
        """Yield `(position, scored)` as scorings finish; refused ones come first."""
        interventions = InterventionSet(self.loaded.model, slots=1, columns=1)
        accepted: list[tuple[int, Scoring]] = []
        for position, scoring in enumerate(scorings):
            try:
                # A last token is predicted and not read.
                check_scoring(scoring, self._context + 1, self._vocabulary)
                interventions.check(scoring.intervention)
            except (RequestError, FieldError, ModelError) as error:
                yield position, Scored(error=str(error))
            else:
                accepted.append((position, scoring))
        with (
            grouped_attention(self.loaded.model),
            experts_as(self.loaded.model, strict=self._strict),
            packed_products(self.loaded.model),
        ):
            yield from score(self.loaded, accepted, apart=self._strict, watch=self.watch)

    def forward(self, readings: Iterable[Reading]) -> Iterator[tuple[int, Activations]]:
        """Yield `(position, activations)`; an impossible reading raises `RequestError`."""
        with experts_as(self.loaded.model, strict=self._strict), packed_products(self.loaded.model):
            yield from read(self.loaded, list(readings))

    def readout(self, hidden: torch.Tensor) -> torch.Tensor:
        """Log-probabilities [..., V] read from block outputs [..., H]; on the model's device."""
        if self._readout is None:
            self._readout = Readout(self.loaded)
        return self._readout(hidden)

    def close(self) -> None:
        """Drop the model and the cache."""
        self._stage = None
        self._readout = None
        del self.loaded

    # What fits -----------------------------------------------------------------------------------

    def cache_need(self, requests: Sequence[Request]) -> CacheNeed | None:
        """What keys and values of these requests come to; None where all shapes are fixed."""
        if self._strict:
            return None
        return CacheNeed(
            str(self.loaded.device),
            self._sizes.of(self._sizes.wanted(requests)) if requests else 0,
            self._held(),
            self._sizes.free(),
        )

    def limit_cache(self, most: int | None) -> None:
        """Take at most so many bytes; a cache that is larger is given back, with what is in it."""
        self._sizes.limit = most
        if most is not None and self._held() > most:
            self._stage = None

    def reserve(self, requests: Sequence[Request]) -> int:
        """Make room for what these requests come to, whose pieces will be asked for in turn.

        Ended pieces stay in the slots of those that do not run.
        """
        return self._stage_for(list(requests)).slots

    def _held(self) -> int:
        if self._stage is None:
            return 0
        return self._sizes.of(self._stage.size)

    def _check(self, request: Request, stage: Stage) -> None:
        """Refuse what the model cannot run, naming the value."""
        if not request.prompt:
            raise RequestError("the prompt is empty")
        if min(request.prompt) < 0 or max(request.prompt) >= self._vocabulary:
            outside = next(t for t in request.prompt if not 0 <= t < self._vocabulary)
            raise RequestError(
                f"token id {outside} of the prompt is outside 0..{self._vocabulary - 1}"
            )
        if request.max_new_tokens < 1:
            raise RequestError(f"max_new_tokens is {request.max_new_tokens}; it must be at least 1")
        if len(request.prompt) >= self._context:
            raise RequestError(
                f"the prompt has {len(request.prompt)} tokens, which leaves no room in the model's "
                f"context of {self._context}"
            )
        needed, columns = self._sizes.length(request), self._columns or stage.cache.capacity
        if needed > columns:
            raise RequestError(
                f"prompt and new tokens are up to {needed} tokens, but the cache holds {columns}; "
                "raise engine.columns or lower sampling.max_new_tokens"
            )
        if request.hidden is not None:
            site_module(self.loaded.model, *request.hidden)
        initial_states(request)  # refuses a state that no rule of it has
        stage.interventions.check(request.intervention)

    def _stage_for(self, requests: list[Request]) -> Stage:
        """The stage of the last call where it still fits, so that what is resident is used."""
        size, stage = self._shape(requests), self._stage
        if stage is not None:
            if not requests or stage.fits(self._least(size, stage)):
                return stage
            # One that serves both, if it pays: streams of unlike requests may take turns.
            both = CacheSize(*map(max, size, stage.size))
            if not self._strict and self._sizes.fitted(both) == both:
                size = both
        self._stage = stage = None
        self._stage = Stage(self.loaded.model, size)
        return self._stage

    def _least(self, size: CacheSize, stage: Stage) -> CacheSize:
        """What of a size is needed: of its spare slots as many as a stage may have."""
        if self._strict:
            return size
        there = self._sizes.fitted(CacheSize(stage.slots, size.spare, stage.cache.capacity))
        return size._replace(spare=min(size.spare, there.spare))

    def _shape(self, requests: list[Request]) -> CacheSize:
        """The size that serves these requests and fits into memory."""
        if self._strict:
            slots, columns = self._fixed_shape()
            return CacheSize(slots, 0, columns)
        return self._sizes.fitted(self._sizes.wanted(requests))

    def _fixed_shape(self) -> tuple[int, int]:
        """Slots and columns where every pass has the same shape."""
        return self._slots or _STRICT_SLOTS, rounded_columns(self._columns or self._context)


def _refused(request: Request, error: Exception) -> Completion:
    return Completion((), "", "error", error=f"{request.sample}: {error}")


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
