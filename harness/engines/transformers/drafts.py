"""How long drafts are (`harness/engines/decoding/siblings.py`): as long as they pay."""

from __future__ import annotations

from dataclasses import dataclass

LONGEST = 16


@dataclass
class DraftLength:
    """How many tokens to draft: what an accepted token saves against what a wider pass costs.

    A pass is taken to cost `start + per_token * tokens` seconds, fitted to the passes seen, older
    ones fading. With acceptance probability p per token, g drafted tokens yield
    p + p^2 + ... + p^g accepted ones (Leviathan et al. 2023, equation 1).
    """

    acceptance: float = 0.7
    # Sums of a least-squares line through (tokens, seconds), weighted by age.
    _weight: float = 0.0
    _x: float = 0.0
    _y: float = 0.0
    _xx: float = 0.0
    _xy: float = 0.0

    def observe_pass(self, tokens: int, seconds: float) -> None:
        """A pass over so many tokens (rows x width, padding included) took so long."""
        fade = 0.98
        self._weight = fade * self._weight + 1
        self._x = fade * self._x + tokens
        self._y = fade * self._y + seconds
        self._xx = fade * self._xx + tokens * tokens
        self._xy = fade * self._xy + tokens * seconds

    def observe_draft(self, drafted: int, accepted: int) -> None:
        """Of a draft, so many leading tokens were accepted."""
        tried = min(drafted, accepted + 1)
        if tried:
            self.acceptance += 0.02 * tried * (accepted / tried - self.acceptance)
            self.acceptance = min(max(self.acceptance, 0.0), 0.99)

    def best(self, rows: int, drafting: int, longest: int) -> int:
        """Tokens to draft for the `drafting` of `rows` rows that have a sibling; 0 switches off."""
        start, per_token = self._line()
        if per_token is None:
            return min(longest, 4)

        def speed(length: int) -> float:
            yielded = sum(self.acceptance**power for power in range(1, length + 1))
            return (rows + drafting * yielded) / (start + per_token * rows * (1 + length))

        return max(range(longest + 1), key=speed)

    def _line(self) -> tuple[float, float | None]:
        """Seconds before the first token, and per token; None until two widths were seen."""
        spread = self._weight * self._xx - self._x * self._x
        if self._weight < 4 or spread <= 1e-9 * max(self._xx, 1.0):
            return 0.0, None
        slope = max((self._weight * self._xy - self._x * self._y) / spread, 0.0)
        start = max((self._y - slope * self._x) / self._weight, 0.0)
        return start, slope
