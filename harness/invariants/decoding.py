"""Identities of decoding itself, under whatever interventions a bench has, or under none.

A request's completion depends on the request alone: not on its company, its place in the queue,
what is resident in the cache, or what went wrong before it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

from harness.engines.contract import Capture, Request
from harness.interventions.policy import Deciding
from harness.invariants.bench import Bench, completed, named
from harness.invariants.finding import Compared, Finding, equal, first_violation
from harness.models.sites import decoder_blocks
from harness.sampling.chosen import SamplingRules


def batch_equals_alone(bench: Bench) -> Finding:
    """A request in a batch of mixed doses gives what it gives alone, its counts included.

    Source: router masks, identity 9 (rows do not feel each other); steering, identity 7 (a padded
    batch equals a single sequence).
    """
    together = bench.together(bench.mixed)
    return equal(
        (
            (named(request), completion, bench.alone(request))
            for request, completion in zip(bench.mixed, together, strict=True)
        ),
        tolerance=bench.tolerance,
    )


def order_is_irrelevant(bench: Bench) -> Finding:
    """The order in which requests are asked for changes none of them.

    Source: requests are frozen and keyed by their content; steering, identity 7.
    """
    places = list(range(len(bench.mixed)))
    order = random.Random(0).sample(places, len(places))
    shuffled = bench.together([bench.mixed[place] for place in order])
    given = bench.together(bench.mixed)
    return equal(
        (
            (named(bench.mixed[place]), completion, given[place])
            for place, completion in zip(order, shuffled, strict=True)
        ),
        tolerance=bench.tolerance,
    )


def repeated_run_is_identical(bench: Bench) -> Finding:
    """The same queue, run again by a fresh engine, gives the same completions.

    Source: steering, identity 7 (greedy runs repeat identically); noise is keyed by the request.
    """
    return equal(
        (
            (named(request), own, first)
            for request, own, first in zip(
                bench.mixed, bench.again(), bench.together(bench.mixed), strict=True
            )
        ),
        tolerance=bench.tolerance,
    )


def reused_equals_recomputed(bench: Bench) -> Finding:
    """An engine that has served other doses of a prompt answers as one that has not.

    Source: a prefix may be shared only where tokens and what is done to them are equal; steering,
    identity 8 (what is cached changes with everything that changes the state).
    """
    engine = bench.company()
    doses = [*bench.doses, *bench.neutral]
    draws = SamplingRules(temperature=1.0)

    def rounds() -> Iterator[Compared]:
        for intervention in (None, *doses, None, *doses[:1]):
            requests = bench.requests(intervention)
            if intervention is None:
                # Of one prompt in one pass: the columns of the one are copied to the other.
                requests += bench.requests(None, sampling=draws)
            for request, own in zip(requests, completed(engine, requests), strict=True):
                yield named(request), own, bench.alone(request)

    return equal(rounds(), tolerance=bench.tolerance)


def cached_equals_uncached(bench: Bench) -> Finding:
    """Decoding with a cache gives every token the log-probability that reading the whole gives it.

    Without an intervention the whole is read by the model itself, without an engine. Greedy tokens
    are the most probable ones. Source: steering, identity 6 (catches an intervention that acts on
    the prompt only, or on the last position only).
    """
    requests = bench.requests(None, *bench.neutral, *bench.doses)
    return first_violation((_reread(bench, request) for request in requests), "completions")


def _reread(bench: Bench, request: Request) -> str | None:
    import torch

    own = bench.alone(request)
    start = len(request.prompt)
    tokens = (*request.prompt, *own.tokens)
    if request.intervention is None:
        with torch.inference_mode():
            ids = torch.tensor([tokens], device=bench.loaded.device)
            scores = bench.loaded.model(input_ids=ids, use_cache=False).logits[0].float()
        after = scores.log_softmax(-1).cpu()[start - 1 : -1]
        best = after.max(-1).values
        read = after.gather(-1, torch.tensor(own.tokens)[:, None])[:, 0]
    else:
        at = tuple(range(start - 1, len(tokens)))
        capture = Capture(token_log_probabilities=True, top_log_probabilities=1, positions=at)
        activations = bench.read(tokens, capture, request.intervention, prompt=start)
        assert activations.token_log_probabilities is not None
        assert activations.top_log_probabilities is not None
        read = activations.token_log_probabilities[1:]
        best = activations.top_log_probabilities[:-1, 0]
    for index, (decoded, whole, most) in enumerate(
        zip(own.log_probabilities, read.tolist(), best.tolist(), strict=True)
    ):
        if not abs(decoded - whole) <= bench.rounding:
            return (
                f"{named(request)} at token {index}: log-probability {decoded:.4f} while decoding, "
                f"{whole:.4f} when read"
            )
        if not most - whole <= bench.rounding:
            return f"{named(request)} at token {index}: {most - whole:.2e} below the best token"
    return None


def removal_restores_every_bit(bench: Bench) -> Finding:
    """After a run, finished, cancelled or broken, the model is what it was, bit for bit.

    Logits are compared bitwise, and hooks, replaced forwards and the attention kernel one by one.
    Source: steering, identity 2 (hook removal restores baseline; exceptions must still remove it).
    """
    import torch

    before = _traces(bench)
    logits = bench.logits()

    def happenings() -> Iterator[str | None]:
        for name, happening in _HAPPENINGS.items():
            happening(bench)
            left = _traces(bench).symmetric_difference(before)
            if left:
                yield f"after {name}: {min(left)}"
            elif not torch.equal(bench.logits(), logits):
                yield f"after {name}: the model's own logits are not what they were"
            else:
                yield None

    return first_violation(happenings(), "ways to end a run")


class _PlannedError(Exception):
    """Raised inside a pass by the identity itself."""


def _finish(bench: Bench) -> None:
    bench.again(fresh=True)


def _cancel(bench: Bench) -> None:
    stream: Any = bench.company().generate(bench.mixed)
    next(stream)
    stream.close()


def _break_decoding(bench: Bench) -> None:
    for passes in (1, 4):
        _broken(bench, passes, lambda: completed(bench.company(), bench.mixed))


def _break_reading(bench: Bench) -> None:
    # What is decided while decoding is nothing that a given text is read under.
    dose = next((dose for dose in bench.doses if not isinstance(dose, Deciding)), None)
    tokens, capture = bench.prompts[0], Capture(router_logits=False, hidden_layers=(0,))
    _broken(bench, 1, lambda: bench.read(tokens, capture, dose))


_HAPPENINGS: dict[str, Callable[[Bench], None]] = {
    "a finished run": _finish,
    "a cancelled run": _cancel,
    "an exception while decoding": _break_decoding,
    "an exception while reading": _break_reading,
}


def _broken(bench: Bench, passes: int, run: Callable[[], Any]) -> None:
    """Run until the last layer raises in the pass of this number."""
    left = passes

    def raise_once(_module: Any, _inputs: Any) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            raise _PlannedError

    hook = decoder_blocks(bench.loaded.model)[-1].register_forward_pre_hook(raise_once)
    try:
        run()
    except _PlannedError:
        pass
    finally:
        hook.remove()


def _traces(bench: Bench) -> set[str]:
    """All that an intervention could have left on a model: hooks, forwards, kernels."""
    model = bench.loaded.model
    traces = {f"attention kernel {model.config._attn_implementation}"}  # noqa: SLF001 - no reader
    for name, module in model.named_modules():
        for kind in ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks"):
            for hook in getattr(module, kind):
                traces.add(
                    f"{kind.strip('_').replace('_', ' ')} number {hook} on {name or 'model'}"
                )
        if "forward" in vars(module):
            traces.add(f"forward of {name or 'model'} is {vars(module)['forward']!r}")
    return traces
