"""What an engine must give, by the definitions alone: one sequence, one pass, float64, plain loops.

It shares nothing with the engines but the descriptions of interventions and the rules by which
tokens are drawn (`harness.engines.decoding.rules`, which has tests of its own): a transformers
model, and hooks that go through a sequence position by position. A model is causal, so a completion
is checked by reading its prompt and tokens once: what each of its tokens was chosen from is all
there.
"""

from __future__ import annotations

import copy
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Any

import torch

from harness.engines.contract import (
    Activations,
    Completion,
    Engine,
    Reading,
    Request,
    Scored,
    Scoring,
)
from harness.engines.decoding.noise import noise_key
from harness.engines.decoding.rules import RowRules, choose
from harness.interventions.residual import Term
from harness.interventions.router_mask.description import RouterMask
from harness.interventions.steering.description import Steering
from harness.models.loading import LoadedModel

CLOSE = 1e-4
"""Nats, and units of hidden states, that float32 may be away."""


class Reference:
    """A model in float64."""

    def __init__(self, loaded: LoadedModel) -> None:
        self.model = copy.deepcopy(loaded.model).double()
        self.model.set_experts_implementation("eager")  # the grouped kernels have no float64
        self._ends, self._tokenizer = loaded.end_tokens, loaded.tokenizer
        self._kept: dict[Any, _Seen] = {}

    def complaints(self, engine: Engine, queue: Sequence[Request]) -> dict[int, str]:
        """What is wrong with an engine's completions of a queue, by position."""
        return dict(self.complained(engine, queue))

    def complained(self, engine: Engine, queue: Sequence[Request]) -> Iterator[tuple[int, str]]:
        """The same, as completions come: none is made behind the first for who needs no other."""
        waiting = dict(enumerate(queue))
        for at, completion in engine.generate(queue):
            if complaint := self.complaint(waiting.pop(at), completion):
                yield at, complaint
        yield from ((at, "has no answer") for at in waiting)

    def complaints_of(self, engine: Engine, readings: Sequence[Reading]) -> dict[int, str]:
        """What is wrong with what an engine reads, by position."""
        read = dict(engine.forward(readings))
        found = {at: self.complaint_of(each, read[at]) for at, each in enumerate(readings)}
        return {at: complaint for at, complaint in found.items() if complaint}

    def complaints_of_scores(self, engine: Engine, scorings: Sequence[Scoring]) -> dict[int, str]:
        """What is wrong with an engine's scores, by position."""
        scored = dict(engine.score(scorings))
        found = {at: self.complaint_of_scores(each, scored[at]) for at, each in enumerate(scorings)}
        return {at: complaint for at, complaint in found.items() if complaint}

    def complaint(self, request: Request, completion: Completion) -> str | None:
        """What is wrong with a completion, in words; None if nothing is."""
        prompt, tokens = request.prompt, completion.tokens
        if completion.error is not None or not tokens:
            return f"failed: {completion.finish_reason}, {completion.error}"
        fed = (*prompt, *tokens[:-1])
        seen = self._read(fed, request.intervention, request.prompt_length)
        logits = seen.logits[len(prompt) - 1 :]
        key = noise_key(request.seed, request.sample, request.draw)
        rules = RowRules.of([request.sampling], torch.device("cpu"))
        for step, token in enumerate(tokens):
            row = logits[step].float()[None]
            at = torch.tensor([request.continued + step])
            chosen = int(choose(row, rules, torch.tensor([key]), at).tokens)
            if token != chosen:
                return f"token {step} is {token}, and not {chosen}"
            score = float(logits[step].log_softmax(-1)[token])
            if not abs(completion.log_probabilities[step] - score) < CLOSE:
                return (
                    f"log-probability {step} is {completion.log_probabilities[step]}, not {score}"
                )
        ends = self._ends | request.stop.tokens
        early = next((step for step, token in enumerate(tokens[:-1]) if token in ends), None)
        if early is not None:
            return f"goes on after token {early}, which ends it"
        reason = "stop" if tokens[-1] in ends else "length"
        if completion.finish_reason != reason:
            return f"ends by {completion.finish_reason}, and not by {reason}"
        if reason == "length" and len(tokens) != request.max_new_tokens:
            return f"has {len(tokens)} tokens of {request.max_new_tokens}"
        said = (*prompt[request.prompt_length :], *tokens)
        text = self._tokenizer.decode(said[:-1] if said[-1] in ends else said)
        if completion.text != text:
            return f"says {completion.text!r}, and not {text!r}"
        counts = seen.counts(request.intervention, len(fed))
        if dict(completion.counts) != counts:
            return f"counts {dict(completion.counts)}, and not {counts}"
        return None

    def complaint_of(self, reading: Reading, found: Activations) -> str | None:
        """What is wrong with what was read; None if nothing is."""
        capture, tokens = reading.capture, reading.tokens
        seen = self._read(tokens, reading.intervention, reading.prompt)
        at = list(range(len(tokens)) if capture.positions is None else capture.positions)
        scores = torch.zeros(len(tokens), dtype=torch.float64)
        predicted = seen.logits[:-1].log_softmax(-1)
        scores[1:] = predicted.gather(-1, torch.tensor(tokens[1:])[:, None])[:, 0]
        pairs = []
        if capture.token_log_probabilities:
            pairs.append(("log-probabilities", found.token_log_probabilities, scores[at]))
        for layer in capture.hidden_layers:
            own = seen.states[layer, capture.hidden_site][at]
            pairs.append((f"layer {layer}, {capture.hidden_site}", found.hidden[layer], own))
        if capture.router_logits:
            own = torch.stack([seen.routers[layer][at] for layer in sorted(seen.routers)])
            pairs.append(("router logits", found.router_logits, own))
        for name, values, expected in pairs:
            if values is None or values.shape != expected.shape:
                return f"{name} are {None if values is None else list(values.shape)}"
            gap = float((values.double() - expected).abs().max())
            if not gap < CLOSE:
                return f"{name} are {gap:.2g} away"
        return None

    def complaint_of_scores(self, scoring: Scoring, found: Scored) -> str | None:
        """What is wrong with the scores of a scoring; None if nothing is."""
        context, counts = scoring.context, Counter[str]()
        if found.error is not None or len(found.greedy) != len(scoring.continuations):
            return f"failed: {found.error}"
        for index, continuation in enumerate(scoring.continuations):
            fed = (*context, *continuation[:-1])
            expected = [(0.0, False)] * (not context and len(continuation) > 0)
            if continuation and fed:
                seen = self._read(fed, scoring.intervention, scoring.prompt_length)
                counts.update(seen.counts(scoring.intervention, len(fed)))
                for at in range(len(context) + len(expected), len(context) + len(continuation)):
                    scores = seen.logits[at - 1].log_softmax(-1)
                    token = continuation[at - len(context)]
                    expected.append((float(scores[token]), bool(scores[token] == scores.max())))
            own = [*zip(found.log_probabilities[index], found.greedy[index], strict=True)]
            if len(own) != len(expected):
                return f"continuation {index} has {len(own)} scores of {len(expected)}"
            for at, ((mine, best), (theirs, greedy)) in enumerate(zip(own, expected, strict=True)):
                if not abs(mine - theirs) < CLOSE or best != greedy:
                    return f"continuation {index} at {at}: {mine}, {best}, not {theirs}, {greedy}"
        if dict(found.counts) != dict(counts):
            return f"counts {dict(found.counts)}, and not {dict(counts)}"
        return None

    @torch.no_grad()
    def _read(self, tokens: tuple[int, ...], intervention: Any, prompt: int) -> _Seen:
        asked = tokens, intervention, prompt
        if asked not in self._kept:
            self._kept[asked] = self._seen(*asked)
        return self._kept[asked]

    def _seen(self, tokens: tuple[int, ...], intervention: Any, prompt: int) -> _Seen:
        seen = _Seen(intervention, prompt)
        with ExitStack() as hooks:
            for layer, block in enumerate(self.model.get_decoder().layers):
                router = getattr(block.mlp, "gate", None) or getattr(block.mlp, "router", None)
                if isinstance(router, torch.nn.Module) and hasattr(router, "top_k"):
                    hooks.enter_context(router.register_forward_hook(seen.router(layer)))
                for site, module in (
                    ("attention", block.self_attn),
                    ("mlp", block.mlp),
                    ("block", block),
                ):
                    hooks.enter_context(module.register_forward_hook(seen.place(layer, site)))
            output = self.model(torch.tensor([tokens]), use_cache=False)
        seen.logits = output.logits[0]
        return seen


class _Seen:
    """One sequence on its way through the model: what is done to it, and what was there."""

    def __init__(self, intervention: Any, prompt: int) -> None:
        self._mask = intervention if isinstance(intervention, RouterMask) else None
        self._terms = intervention.terms if isinstance(intervention, Steering) else ()
        self._prompt = prompt
        self._counted: Counter[str] = Counter()
        self.logits = torch.empty(0)
        self.states: dict[tuple[int, str], torch.Tensor] = {}
        self.routers: dict[int, torch.Tensor] = {}

    def counts(self, intervention: Any, length: int) -> dict[str, int]:
        """What a completion says that it counted."""
        if self._mask is not None and self._mask.points:
            routed = length * len(self.routers)
            own = {name: self._counted[name] for name in ("changed", "emptied")}
            return {"routed": routed, **own}
        if self._terms:
            return {"steered": self._counted["steered"], "steered_tokens": length}
        return {}

    def router(self, layer: int) -> Any:
        def hook(_module: Any, _inputs: Any, output: Any) -> Any:
            logits, scores, indices = output
            self.routers[layer] = logits
            if self._mask is None:
                return None
            masked = {expert for of, expert in self._mask.points if of == layer}
            scores, indices = scores.clone(), indices.clone()
            for row in range(len(logits)):
                self._route(logits[row], scores[row], indices[row], masked)
            return logits, scores, indices

        return hook

    def _route(
        self,
        logits: torch.Tensor,
        scores: torch.Tensor,
        indices: torch.Tensor,
        masked: set[int],
    ) -> None:
        """Write one token's routing in place."""
        own = indices.tolist()
        left = [expert for expert in own if expert not in masked]
        if len(left) == len(own):
            return
        assert self._mask is not None
        if self._mask.mode == "replace_topk":
            ranked = sorted(range(len(logits)), key=lambda expert: -float(logits[expert]))
            left = [expert for expert in ranked if expert not in masked][: len(own)]
        if not left:
            self._counted["emptied"] += 1
            if self._mask.on_empty == "zero":
                self._counted["changed"] += 1
                scores[:] = 0
            return
        self._counted["changed"] += 1
        mass = float(scores.sum())
        powers = [math.exp(float(logits[expert] - logits[left].max())) for expert in left]
        for place in range(len(own)):
            there = place < len(left)
            # A place without an expert weighs nothing, whoever is named in it.
            scores[place] = mass * powers[place] / sum(powers) if there else 0.0
            indices[place] = left[place] if there else own[place]

    def place(self, layer: int, site: str) -> Any:
        terms = [term for term in self._terms if (term.layer, term.site) == (layer, site)]

        def hook(_module: Any, _inputs: Any, output: Any) -> Any:
            hidden = output[0] if isinstance(output, tuple) else output
            steered = hidden.clone()
            for term in terms:
                for position, before in enumerate(hidden[0]):
                    dose = self._dose(term, position, before)
                    self._counted["steered"] += dose != 0
                    if dose:
                        vector = term.vector.tensor().double()
                        if vector.ndim == 2:
                            vector = vector[position - self._origin(term)]
                        steered[0, position] += dose * vector
            self.states[layer, site] = steered[0]
            return (steered, *output[1:]) if isinstance(output, tuple) else steered

        return hook

    def _origin(self, term: Term) -> int:
        return self._prompt if term.positions == "generated" else self._prompt - 1

    def _dose(self, term: Term, position: int, state: torch.Tensor) -> float:
        acts = {
            "all": True,
            "prompt": position < self._prompt,
            "generated": position >= self._prompt,
            "from_last_prompt_token": position >= self._prompt - 1,
        }[term.positions]
        step = position - self._origin(term)
        if not acts or not self._fires(term, state):
            return 0.0
        if term.schedule == "start_only":
            return term.alpha if step <= 0 else 0.0
        if term.schedule == "diminishing":
            assert term.over is not None
            return term.alpha * max(0.0, 1 - max(0, step) / term.over)
        if term.schedule == "given":
            return term.alpha * term.given[step] if 0 <= step < len(term.given) else 0.0
        return term.alpha

    @staticmethod
    def _fires(term: Term, state: torch.Tensor) -> bool:
        condition = term.condition
        if condition is None:
            return True
        direction = condition.direction.tensor().double()
        dot = float(state @ direction)
        if condition.kind == "cosine":
            return dot / float(state.norm() * direction.norm()) > condition.threshold
        return 1 / (1 + math.exp(-(dot + condition.bias))) > condition.threshold
