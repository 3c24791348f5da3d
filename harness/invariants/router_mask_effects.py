"""Identities of router masks beyond the routing of a token: where effects are felt, how masks add
up, and what is counted. Numbers are those of the router-masking study's list.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from harness.engines.contract import Activations, Capture, Completion, Request
from harness.interventions.router_mask.description import RouterMask
from harness.interventions.router_mask.section import RandomPoints, RouterMaskSettings
from harness.invariants.bench import Bench, completed, named
from harness.invariants.finding import Finding, equal, first_violation
from harness.invariants.neutrality import untouched
from harness.invariants.router_mask_routing import observe, replaced_in_the_gate
from harness.invariants.router_masks import few, masks, points_of


def earlier_layers_unchanged(bench: Bench) -> Finding:
    """A mask in layers >= l leaves what enters layer l bit for bit, and changes what leaves it.

    Identity 9, for every layer with a router.
    """
    import torch

    prompt = bench.prompts[0]
    layers = range(bench.loaded.model.config.get_text_config().num_hidden_layers)
    capture = Capture(hidden_layers=tuple(layers))
    baseline = bench.read(prompt, capture).hidden

    def problems() -> Iterator[str | None]:
        for layer in bench.shape.layers:
            # No fallback, so that a layer whose points are all masked is felt too.
            mask = RouterMask(points=points_of(bench, layer), on_empty="zero")
            hidden = bench.read(prompt, capture, mask).hidden
            changed = [at for at in layers if not torch.equal(hidden[at], baseline[at])]
            first = min(changed, default=None)
            yield (
                None
                if first == layer
                else (
                    f"masked in layer {layer}, "
                    + (
                        "no layer changed"
                        if first is None
                        else f"layer {first} is the first to change"
                    )
                )
            )

    return first_violation(problems(), "layers")


def earlier_positions_unchanged(bench: Bench) -> Finding:
    """Positions before the first token whose routing is hit are unchanged, in all layers.

    Identity 9; the first hit position itself does change. Masks of one layer that leave the first
    tokens of a prompt alone.
    """
    layers = tuple(range(bench.loaded.model.config.get_text_config().num_hidden_layers))
    capture = Capture(hidden_layers=layers)

    def problems() -> Iterator[str | None]:
        for number, prompt in enumerate(bench.prompts):
            baseline = bench.read(prompt, capture)
            for seen in observe(bench, None, prompt):
                first_use: dict[int, int] = {}
                for token, row in enumerate(seen.own_indices.tolist()):
                    for expert in row:
                        first_use.setdefault(expert, token)
                expert, hit = max(first_use.items(), key=lambda pair: pair[1])
                mask = RouterMask(points=((seen.layer, expert),))
                masked = bench.read(prompt, capture, mask)
                yield _before(
                    masked, baseline, hit, bench.rounding, f"prompt {number}, {mask.points}"
                )

    return first_violation(problems(), "masks of one point")


def _before(
    own: Activations, baseline: Activations, hit: int, tolerance: float, name: str
) -> str | None:
    """What is wrong with hidden states around position `hit`, the first that a mask touches."""
    import torch

    moved = torch.zeros(len(next(iter(own.hidden.values()))))
    for layer, states in own.hidden.items():
        size = baseline.hidden[layer].abs().amax() + 1e-9
        moved = moved.maximum((states - baseline.hidden[layer]).abs().amax(1) / size)
    early = (moved[:hit] > tolerance).nonzero()
    if len(early):
        return f"{name}: token {int(early[0])} changed, token {hit} is the first that is hit"
    return None if moved[hit] else f"{name}: token {hit} is hit, and did not change"


def replace_twice_is_replace_by_the_union(bench: Bench) -> Finding:
    """replace(M1) then replace(M2) equals replace(M1 and M2 together).

    Identity 8. The first is done by the gate's logits, as the study does it, the second by us.
    """
    union = few(bench)
    parts = union.points[::2], union.points[1::2]

    def pairs() -> Iterator[tuple[str, Completion, Completion]]:
        for first, second in (parts, parts[::-1]):
            with replaced_in_the_gate(
                bench.loaded.model, union.model_copy(update={"points": first})
            ):
                requests = bench.requests(union.model_copy(update={"points": second}))
                twice = completed(bench.engine(drafts=False), requests)
            for request, own in zip(requests, twice, strict=True):
                yield named(request), own, bench.alone(replace(request, intervention=union))

    return equal(pairs(), tolerance=bench.rounding, counts=False)


def points_are_a_set(bench: Bench) -> Finding:
    """Order and repetition of a mask's points mean nothing.

    Identity 8.
    """
    requests = bench.requests(*masks(bench))
    twins = []
    for request in requests:
        mask = request.intervention
        assert isinstance(mask, RouterMask)
        points = (*mask.points[::-1], *mask.points[:2])
        other = RouterMask(mode=mask.mode, on_empty=mask.on_empty, points=points)
        twins.append(replace(request, intervention=other))
    # Not from memory: equal descriptions must be applied alike, not only be equal.
    again = completed(bench.engine(), twins)
    return equal(
        (
            (named(request), own, bench.alone(request))
            for request, own in zip(requests, again, strict=True)
        ),
        tolerance=bench.tolerance,
    )


def unselected_experts_are_free(bench: Bench) -> Finding:
    """Masking experts that a whole run never selects leaves its tokens, in either mode.

    Identity 10. Needs no normalised weights here, see `unhit_token_keeps_every_bit`.
    """
    pairs: list[tuple[str, Completion, Completion]] = []
    for request in bench.requests(None):
        own = bench.alone(request)
        every = set(range(bench.shape.experts))
        free = tuple(
            (seen.layer, expert)
            for seen in observe(bench, None, _fed(request, own))
            for expert in every.difference(seen.own_indices.flatten().tolist())
        )
        for mode in ("keep_topk", "replace_topk") if free else ():
            masked = replace(request, intervention=RouterMask(points=free, mode=mode))
            pairs.append((named(masked), bench.alone(masked), own))
    if not pairs:
        return Finding(holds=True, detail="every expert was selected: there is nothing to mask")
    return equal(pairs, tolerance=bench.rounding, counts=False)


def doses_are_nested(bench: Bench) -> Finding:
    """The first N1 points of an ordering are among its first N2 > N1; 0 points are neutral.

    Identity 11: what a spec's `count` is resolved to.
    """
    from harness.resolve.router_mask import fixed_ordering, mask_of  # listing does not need it

    shape = bench.shape
    ordering = fixed_ordering(RandomPoints(random=0), shape)
    total = len(shape.layers) * shape.experts

    def problems() -> Iterator[str | None]:
        before: set[tuple[int, int]] = set()
        for count in (0, 1, 2, total // 2, total - 1, total):
            section = {"kind": "router_mask", "points": {"random": 0}, "count": count}
            mask = mask_of(RouterMaskSettings.model_validate(section), ordering, shape)
            points = set(mask.points)
            if len(points) != count:
                yield f"count {count} masks {len(points)} points"
            elif not before <= points:
                yield f"{min(before - points)} is masked by a smaller dose, not by count {count}"
            elif mask.is_neutral != (count == 0):
                yield f"count {count} is {'' if mask.is_neutral else 'not '}neutral"
            else:
                yield None
            before = points

    return first_violation(problems(), "doses")


def counts_are_what_happened(bench: Bench) -> Finding:
    """routed, changed and emptied count the decisions that an observer beside the engine sees.

    Source: `counts` of a completion; section 0.3 (a fallback changes nothing, and must be seen).
    """

    def problems() -> Iterator[str | None]:
        for request in bench.requests(*masks(bench)):
            mask = request.intervention
            assert isinstance(mask, RouterMask)
            own = bench.alone(request)
            expected = dict.fromkeys(("routed", "changed", "emptied"), 0)
            for seen in observe(bench, mask, _fed(request, own)):
                hit = seen.own_masked(mask)
                left = (~seen.masked(mask)).any(1) if mask.mode == "replace_topk" else ~hit.all(1)
                kept = left | (mask.on_empty == "zero")
                expected["routed"] += len(hit)
                expected["changed"] += int((hit.any(1) & kept).sum())
                expected["emptied"] += int((~left).sum())
            counted = dict(own.counts)
            yield (
                None
                if counted == expected
                else (f"{named(request)}: counted {counted}, observed {expected}")
            )

    return first_violation(problems(), "completions")


def all_masked_with_fallback_is_baseline(bench: Bench) -> Finding:
    """Every point masked: each token falls back, and the run is the baseline's, token for token.

    Identity 6 for a whole model; the effect of keep is not monotone in the number of points.
    """
    everything = tuple(
        (layer, expert) for layer in bench.shape.layers for expert in range(bench.shape.experts)
    )
    requests = bench.requests(RouterMask(points=everything))
    return equal(
        (
            (named(request), bench.alone(request), bench.alone(untouched(request)))
            for request in requests
        ),
        tolerance=0.0,
        counts=False,
    )


def _fed(request: Request, own: Completion) -> tuple[int, ...]:
    """The tokens that the model was fed: all but the last one generated."""
    return (*request.prompt, *own.tokens[:-1])
