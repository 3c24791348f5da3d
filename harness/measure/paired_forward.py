"""Forward passes over pairs: what layers predict of the answer, and how far two prompts part.

The variants are read as compacted token sequences, at the positions that decoding sees. For the
answer's token at position t a layer is read at t - 1 through the model's own final norm and head
(logit lens), so that the last layer's numbers are the model's own.

- Pairs are read in fixed chunks whose captured activations are bounded, and every sample's results
  are on disk before the next chunk: a measurement that was interrupted goes on with the first
  chunk that is not complete, and gives the numbers it would have given.
- A pair that cannot be measured is a problem with its key; the others go on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import torch

from harness.engines.contract import Activations, Capture, Engine, Reading
from harness.engines.declared import Declared, Place
from harness.errors import TaskError
from harness.interventions.base import Intervention
from harness.measure.distances import jensen_shannon
from harness.measure.forward import forward_of, lens_of
from harness.measure.readings import AnswerTokens, PairedAnswer
from harness.measure.router_usage import top_k_usage
from harness.measure.sample_files import HiddenMode, SampleFiles, SampleForward
from harness.measure.usage_maps import SampleUsage, sample_usage
from harness.models.loading import load_config
from harness.models.routers import RouterShape, has_routers
from harness.models.sites import hidden_shape
from harness.spec import Experiment
from harness.tasks.pairs.pair import VARIANTS, Unpaired, Variant

#: Captured activations of one chunk, and predictions of one layer that are held at a time.
_CHUNK_BYTES = 256 * 2**20
_PREDICTION_BYTES = 64 * 2**20
_FLOAT32 = 4


@dataclass(frozen=True)
class ForwardPlan:
    """What is read of the model: L blocks of width H, its routers, and what is kept of them.

    `styles` are those that are read, `lens` the blocks whose predictions are, all by default.
    `dtype` is the one that hidden states are stored in; numbers are computed before rounding.
    """

    layers: int
    width: int
    routers: RouterShape | None
    hidden: HiddenMode = "none"
    dtype: torch.dtype = torch.float16
    intervention: Intervention | None = None
    styles: tuple[Variant, ...] = VARIANTS
    lens: tuple[int, ...] | None = None
    readout_cost: float = 1.0
    """What it costs to read a prediction, in passes of a token; for what is told of progress."""

    @property
    def read(self) -> tuple[int, ...]:
        """The blocks whose predictions are read."""
        return tuple(range(self.layers)) if self.lens is None else self.lens

    @property
    def captured(self) -> tuple[int, ...]:
        """The blocks whose outputs are needed."""
        return self.read if self.hidden == "none" else tuple(range(self.layers))

    def readouts(self, answer: PairedAnswer) -> int:
        """Predictions that are read of a pair."""
        positions = sum(len(answer.variants[style].positions) for style in self.styles)
        return positions * len(self.read)

    @property
    def reads_output(self) -> bool:
        """Whether the last block's predictions are read, which are the model's own."""
        return self.layers - 1 in self.read


def needed(experiment: Experiment) -> Declared:
    """What an engine must be told of forward passes: which blocks are read, and the routers."""
    config, settings = load_config(experiment.model), forward_of(experiment)
    layers, _ = hidden_shape(config)
    captured = range(layers) if settings.hidden != "none" else lens_of(experiment)
    read: list[Place] = [(layer, "block") for layer in captured]
    compared = len(settings.read) > 1
    return Declared(router_logits=compared and has_routers(config), read=frozenset(read))


def measure_pairs(
    engine: Engine,
    answers: Sequence[PairedAnswer],
    plan: ForwardPlan,
    files: SampleFiles,
    measured: Callable[[float], None] = lambda _: None,
) -> Iterator[SampleForward | Unpaired]:
    """Yield every pair's numbers in order, from its file where they are on disk already.

    `measured` is told how many pairs are done, and the share of those that are begun.
    """
    done = 0
    for chunk in _chunks(answers, plan):
        known = [files.read(answer.key) for answer in chunk]
        found = [each for each in known if each is not None]
        if len(found) == len(chunk):
            yield from found
        else:
            yield from _measure(engine, chunk, plan, files, partial(_further, measured, done))
        done += len(chunk)
        measured(done)


def _further(measured: Callable[[float], None], done: int, more: float) -> None:
    measured(done + more)


def _chunks(answers: Sequence[PairedAnswer], plan: ForwardPlan) -> Iterator[list[PairedAnswer]]:
    """Neighbours whose captures fit; the same cut however much of them is on disk."""
    chunk: list[PairedAnswer] = []
    size = 0
    for answer in answers:
        positions = sum(len(_captured(variant, plan)) for variant in answer.variants.values())
        needed = positions * max(1, len(plan.captured)) * plan.width * _FLOAT32
        if chunk and size + needed > _CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
        chunk.append(answer)
        size += needed
    if chunk:
        yield chunk


def _captured(answer: AnswerTokens, plan: ForwardPlan) -> tuple[int, ...]:
    """Positions to capture: the answer's tokens, those before them, or every one."""
    if plan.hidden == "full":
        return tuple(range(len(answer.tokens)))
    return tuple(sorted({at - back for at in answer.positions for back in (0, 1)}))


def _measure(
    engine: Engine,
    chunk: Sequence[PairedAnswer],
    plan: ForwardPlan,
    files: SampleFiles,
    measured: Callable[[float], None],
) -> Iterator[SampleForward | Unpaired]:
    """Measure a chunk; `measured` is told how many pairs of it that makes so far, by their cost."""
    readings = [
        Reading(
            answer.variants[variant].tokens,
            Capture(
                router_logits=plan.routers is not None,
                hidden_layers=plan.captured,
                token_log_probabilities=True,
                positions=_captured(answer.variants[variant], plan),
            ),
            plan.intervention,
        )
        for answer in chunk
        for variant in plan.styles
    ]
    passes = sum(len(reading.tokens) for reading in readings)
    readouts = [plan.readout_cost * plan.readouts(answer) for answer in chunk]
    per_cost = len(chunk) / (passes + sum(readouts))
    done = 0.0
    activations: dict[int, Activations] = {}
    for at, captured in engine.forward(readings):
        activations[at] = captured
        done += len(readings[at].tokens)
        measured(done * per_cost)
    for index, answer in enumerate(chunk):
        first = len(plan.styles) * index
        seen = {
            variant: _Seen(answer.variants[variant], activations.pop(at), plan)
            for at, variant in enumerate(plan.styles, start=first)
        }
        done += readouts[index]
        try:
            result = _numbers(engine, answer, seen, plan)
            if plan.hidden != "none":
                states = {variant: each.states() for variant, each in seen.items()}
                files.write_hidden(answer.key, states, _about(answer, plan))
        except TaskError as error:
            yield Unpaired(answer.key, str(error))
            continue
        finally:
            measured(done * per_cost)
        files.write(result)
        yield result


class _Seen:
    """What was captured of one variant, addressed by positions of its sequence."""

    def __init__(self, answer: AnswerTokens, captured: Activations, plan: ForwardPlan) -> None:
        row = {position: at for at, position in enumerate(_captured(answer, plan))}
        self.answer = answer
        self.at = [row[position] for position in answer.positions]
        self.before = [row[position - 1] for position in answer.positions]
        self.captured = captured
        self._plan = plan

    def predicting(self, layer: int) -> torch.Tensor:
        """Outputs [P, H] of a block where the answer's tokens are predicted."""
        hidden = self.captured.hidden[layer][self.before]
        if not hidden.isfinite().all():
            raise TaskError(f"layer {layer} is not finite; run the model in a wider dtype")
        return hidden

    def own_nll(self) -> torch.Tensor:
        scores = self.captured.token_log_probabilities
        assert scores is not None
        own = -scores[self.at]
        if not own.isfinite().all():
            raise TaskError("a log-probability is not finite; run the model in a wider dtype")
        return own

    def usage(self, routers: RouterShape) -> torch.Tensor:
        """Usage [R, P, E] at the answer's tokens."""
        logits = self.captured.router_logits
        assert logits is not None
        return top_k_usage(logits[:, self.at], routers.top_k)

    def states(self) -> torch.Tensor:
        """Hidden states to keep: full [L, S, H], canonical [L, P, H] or pooled [L, H]."""
        stacked = torch.stack([self.captured.hidden[layer] for layer in range(self._plan.layers)])
        if self._plan.hidden != "full":
            stacked = stacked[:, self.at]
        if self._plan.hidden == "pooled":
            stacked = stacked.mean(dim=1)
        kept = stacked.to(self._plan.dtype)
        if not kept.isfinite().all():
            raise TaskError(
                f"a hidden state of {float(stacked.abs().max()):.3g} does not fit "
                f"{str(self._plan.dtype).removeprefix('torch.')}; set forward.dtype: bfloat16"
            )
        return kept


def _numbers(
    engine: Engine, answer: PairedAnswer, seen: dict[Variant, _Seen], plan: ForwardPlan
) -> SampleForward:
    some = answer.variants[plan.styles[0]]  # the answer's tokens are the same in all
    targets = torch.tensor([some.tokens[at] for at in some.positions])
    nll = {variant: torch.zeros(len(plan.read), len(targets)) for variant in plan.styles}
    compared = len(plan.styles) > 1
    divergence = torch.zeros(len(plan.read) if compared else 0, len(targets))
    for row, layer in enumerate(plan.read):
        predicting = [each.predicting(layer) for each in seen.values()]
        scores, apart = _read_layer(engine, predicting, targets)
        for variant, score in zip(plan.styles, scores, strict=True):
            nll[variant][row] = score
        if compared:
            divergence[row] = apart
    return SampleForward(
        key=answer.key,
        sample=answer.sample,
        nll=nll,
        own_nll={variant: each.own_nll() for variant, each in seen.items()},
        divergence=divergence,
        usage=_usage(seen, plan.routers),
    )


def _read_layer(
    engine: Engine, hidden: Sequence[torch.Tensor], targets: torch.Tensor
) -> tuple[list[torch.Tensor], torch.Tensor]:
    """Negative log-probabilities [P] by variant, and divergence [P], of one alone 0; some positions
    at a time.
    """
    scores: list[list[torch.Tensor]] = [[] for _ in hidden]
    apart = []
    start, step = 0, 1
    while start < len(targets):
        some = slice(start, start + step)
        predicted = [engine.readout(states[some]) for states in hidden]
        for kept, log_probabilities in zip(scores, predicted, strict=True):
            chosen = targets[some].to(log_probabilities.device)[:, None]
            kept.append(-log_probabilities.gather(-1, chosen)[:, 0].cpu())
        own, other = predicted[0], predicted[-1]
        differs = jensen_shannon(own, other) if len(hidden) > 1 else torch.zeros(len(own))
        apart.append(differs.float().cpu())
        start += step
        # The first position says how wide a prediction is.
        step = max(1, _PREDICTION_BYTES // (predicted[0].shape[-1] * 8))
    return [torch.cat(kept) for kept in scores], torch.cat(apart)


def _usage(seen: dict[Variant, _Seen], routers: RouterShape | None) -> SampleUsage | None:
    if routers is None:
        return None
    return sample_usage({variant: seen[variant].usage(routers) for variant in VARIANTS})


def _about(answer: PairedAnswer, plan: ForwardPlan) -> dict[str, object]:
    """What a reader of hidden states must know."""
    return {
        "sample": answer.sample,
        "dtype": str(plan.dtype).removeprefix("torch."),
        "layers": "outputs of blocks 0 to L - 1, without the embeddings; before the final norm",
        "variants": {
            variant: {"tokens": list(tokens.tokens), "canonical_positions": list(tokens.positions)}
            for variant, tokens in answer.variants.items()
        },
    }
