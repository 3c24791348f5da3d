"""How the running rows draw their next tokens: rules and keys on the device, results on the host.

The one synchronisation with the device that a step costs is here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch

from harness.engines.decoding.noise import noise_key
from harness.engines.decoding.rules import Chosen, RowRules, States, choose
from harness.engines.transformers.residents import Resident

# Logits that are drawn from at once. Noise and its logarithms take ten times their memory, in
# float64: 80 rows of 17 tokens over 49 152 words took 3 GB. Few of them stay in a CPU's caches,
# which halves the time; on an accelerator more pay off.
_AT_ONCE = {"cpu": 2**19}
_AT_ONCE_ELSEWHERE = 2**26


class DrawnTokens(NamedTuple):
    """What R rows drew in T columns: tokens and log-probabilities, [R, T] each, what rules keep of
    each row after its first column, and a log of every step, [R, T, 8], if a row asks for one.
    """

    tokens: list[list[int]]
    log_probabilities: list[list[float]]
    states: list[dict[str, tuple[float, ...]]]
    log: list[list[list[float]]] | None


@dataclass(frozen=True, slots=True)
class Drawing:
    """Sampling rules and noise keys of R rows; rebuilt when rows come or go."""

    rules: RowRules
    keys: torch.Tensor  # [R], int64
    logged: bool

    @classmethod
    def of(cls, sequences: Sequence[Resident], device: torch.device) -> Drawing:
        """What these sequences' requests ask for, in their order."""
        requests = [sequence.request for sequence in sequences]
        keys = [
            noise_key(request.seed, request.sample, request.draw) if request.sampling.random else 0
            for request in requests
        ]
        return cls(
            RowRules.of([request.sampling for request in requests], device),
            torch.tensor(keys, dtype=torch.int64, device=device),
            any(request.logged for request in requests),
        )

    def draw(
        self,
        logits: torch.Tensor,
        generated: Sequence[int],
        states: Sequence[Mapping[str, tuple[float, ...]]] = (),
    ) -> DrawnTokens:
        """Draw from logits [R, T, V].

        `generated` [R] counts the tokens that each row has; column i follows i tokens more.
        `states` [R] are what stateful rules keep of the rows, which have only the first column;
        they are left out where no row has such a rule.
        """
        rows, width, vocabulary = logits.shape
        device = logits.device
        positions = torch.tensor(generated, device=device)[:, None]
        positions = positions + torch.arange(width, device=device)
        fitting = _AT_ONCE.get(device.type, _AT_ONCE_ELSEWHERE) // (width * vocabulary)
        before = self._stacked(states, device)
        parts = [
            choose(
                logits[some].flatten(0, 1),
                self.rules[some].repeat(width),
                self.keys[some].repeat_interleave(width),
                positions[some].flatten(),
                {name: kept[some].repeat_interleave(width, 0) for name, kept in before.items()},
                logged=self.logged,
            )
            for some in _slices(rows, max(1, fitting))
        ]
        joined = Chosen(
            torch.cat([part.tokens for part in parts]),
            torch.cat([part.log_probabilities for part in parts]),
            {name: torch.cat([part.states[name][::width] for part in parts]) for name in before},
        )
        tokens, scores = _to_host(joined, width)
        after = {name: kept.tolist() for name, kept in joined.states.items()}
        return DrawnTokens(
            tokens,
            scores,
            [{name: tuple(after[name][row]) for name in own} for row, own in enumerate(states)],
            _log(parts, width) if self.logged else None,
        )

    def _stacked(
        self, states: Sequence[Mapping[str, tuple[float, ...]]], device: torch.device
    ) -> States:
        """Rows' states as tensors; rows without a rule hold unused numbers."""
        return {
            rule.name: torch.tensor(
                [own.get(rule.name, (0.0,) * rule.width) for own in states],
                dtype=torch.float32,
                device=device,
            )
            for rule in self.rules.stateful
        }


def _log(parts: Sequence[Chosen], width: int) -> list[list[list[float]]]:
    """The logs of parts of the rows as numbers [R, width, 8]."""
    logs = torch.cat([part.log for part in parts if part.log is not None])
    found: list[list[list[float]]] = logs.view(-1, width, logs.shape[-1]).tolist()
    return found


def _slices(rows: int, most: int) -> list[slice]:
    """Rows in parts of at most so many."""
    return [slice(start, start + most) for start in range(0, rows, most)]


def _to_host(choice: Chosen, width: int) -> tuple[list[list[int]], list[list[float]]]:
    """Chosen tokens and their scores, [R, width] each, in one transfer."""
    tokens, scores = choice.tokens.view(-1, width), choice.log_probabilities.view(-1, width)
    if tokens.device.type == "cpu":
        return tokens.tolist(), scores.tolist()
    # float32 holds integers up to 2**24 exactly, which is more than any vocabulary.
    both = torch.stack([tokens.float(), scores]).tolist()
    return [[int(token) for token in row] for row in both[0]], both[1]
