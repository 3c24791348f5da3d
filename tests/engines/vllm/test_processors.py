"""Both of vLLM's runners draw what our rules draw, by one function behind two adapters.

The V2 runner needs a GPU; its adapter is given here what that runner would give it.
"""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from harness.engines.contract import Request
from harness.engines.decoding.rules import RowRules, choose
from harness.engines.vllm import drawing
from harness.sampling.chosen import SamplingRules

PROMPT, GENERATED = 7, (0, 3, 5)
VOCABULARY = 50


@pytest.fixture
def parameters(vllm_installed):
    """A greedy request between two that draw, as vLLM knows them."""
    from vllm import SamplingParams

    requests = [
        Request((1,) * PROMPT, 9, sampling=rules, sample=str(number), continued=number)
        for number, rules in enumerate(
            (
                SamplingRules(temperature=1.0, top_p=0.9),
                SamplingRules(),
                SamplingRules(temperature=0.8, greedy_threshold=0.5),
            )
        )
    ]
    given = []
    for request in requests:
        carried = drawing.payload(request)
        given.append(SamplingParams(extra_args=carried and {drawing.KEY: carried}))
    return given


def _expected(parameters, logits):
    """The chosen tokens of the rows that draw, by the rules alone."""
    tokens = {}
    for row, given in enumerate(parameters):
        drawn = drawing.drawn_of(given.extra_args)
        if drawn is not None:
            rules = RowRules.of([drawn.rules], logits.device)
            position = torch.tensor([drawn.already + GENERATED[row]])
            own = choose(logits[row : row + 1], rules, torch.tensor([drawn.key]), position)
            tokens[row] = int(own.tokens)
    return tokens


def _check(forced, logits, parameters):
    expected = _expected(parameters, logits)
    assert sorted(expected) == [0, 2]
    for row in range(3):
        if row in expected:
            assert forced[row].argmax() == expected[row]
            assert (forced[row] == -torch.inf).sum() == VOCABULARY - 1
        else:
            assert torch.equal(forced[row], logits[row])


def _logits():
    return torch.randn(3, VOCABULARY, generator=torch.Generator().manual_seed(2))


def test_the_v1_adapter_follows_rows_as_they_come_move_and_go(parameters):
    from vllm.v1.sample.logits_processor import BatchUpdate, MoveDirectionality

    from harness.engines.vllm.processors_v1 import SamplingProcessorV1

    processor = SamplingProcessorV1(None, torch.device("cpu"), False)
    outputs = [[0] * count for count in GENERATED]
    order = (2, 1, 0)  # rows 0 and 2 come in each other's place, and are swapped then
    added = [(place, parameters[row], None, outputs[row]) for place, row in enumerate(order)]
    processor.update_state(BatchUpdate(3, removed=[], added=added, moved=[]))
    moved = [(0, 2, MoveDirectionality.SWAP)]
    processor.update_state(BatchUpdate(3, removed=[], added=[], moved=moved))
    logits = _logits()
    assert not processor.is_argmax_invariant()
    _check(processor.apply(logits.clone()), logits, parameters)
    processor.update_state(BatchUpdate(0, removed=[0, 1, 2], added=[], moved=[]))
    assert torch.equal(processor.apply(logits.clone()), logits)


def test_the_v2_adapter_finds_rows_by_slot_and_tokens_by_position(parameters):
    from harness.engines.vllm.processors_v2 import SamplingProcessorV2

    slots = [4, 0, 2]
    states = SimpleNamespace(prompt_len=SimpleNamespace(gpu=torch.full((6,), PROMPT)))
    processor = SamplingProcessorV2(None, states)
    assert processor.add_request(0, parameters[0])  # an earlier occupant of a slot
    kept = [processor.add_request(slot, each) for slot, each in zip(slots, parameters, strict=True)]
    assert kept == [True, False, True]
    logits = _logits()
    context = SimpleNamespace(
        expanded_idx_mapping=torch.tensor(slots),
        # Positions of the tokens that were fed: the first draw follows the last of the prompt.
        pos=torch.tensor([PROMPT - 1 + count for count in GENERATED]),
    )
    _check(processor.apply(logits.clone(), context), logits, parameters)
