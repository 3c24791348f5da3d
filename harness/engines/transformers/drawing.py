"""How the running rows draw their next tokens: rules and keys on the device, results on the host.

The one synchronisation with the device that a step costs is here.
"""

from __future__ import annotations

from collections.abc import Sequence as SequenceOf
from dataclasses import dataclass

import torch

from harness.engines.noise import noise_key
from harness.engines.sampling import Choice, RowRules, choose
from harness.engines.transformers.residents import Sequence


@dataclass(frozen=True, slots=True)
class Drawing:
    """Sampling rules and noise keys of R rows; rebuilt when rows come or go."""

    rules: RowRules
    keys: torch.Tensor  # [R], int64

    @classmethod
    def of(cls, sequences: SequenceOf[Sequence], device: torch.device) -> Drawing:
        """What these sequences' requests ask for, in their order."""
        requests = [sequence.request for sequence in sequences]
        keys = [
            noise_key(request.seed, request.sample, request.draw)
            if request.sampling.temperature
            else 0
            for request in requests
        ]
        return cls(
            RowRules.of([request.sampling for request in requests], device),
            torch.tensor(keys, dtype=torch.int64, device=device),
        )

    def draw(
        self, logits: torch.Tensor, generated: SequenceOf[int]
    ) -> tuple[list[list[int]], list[list[float]]]:
        """Tokens and their log-probabilities, [R, T] each, from logits [R, T, V].

        `generated` [R] counts the tokens that each row has; column i follows i tokens more.
        """
        width = logits.shape[1]
        device = logits.device
        positions = torch.tensor(generated, device=device)[:, None]
        choice = choose(
            logits.flatten(0, 1),
            self.rules.repeat(width),
            self.keys.repeat_interleave(width),
            (positions + torch.arange(width, device=device)).flatten(),
        )
        return _to_host(choice, width)


def _to_host(choice: Choice, width: int) -> tuple[list[list[int]], list[list[float]]]:
    """Chosen tokens and their scores, [R, width] each, in one transfer."""
    tokens, scores = choice.tokens.view(-1, width), choice.log_probabilities.view(-1, width)
    if tokens.device.type == "cpu":
        return tokens.tolist(), scores.tolist()
    # float32 holds integers up to 2**24 exactly, which is more than any vocabulary.
    both = torch.stack([tokens.float(), scores]).tolist()
    return [[int(token) for token in row] for row in both[0]], both[1]
