"""The sampling rules of one request, with their values, in the order in which they act."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from harness.sampling import CountRule, MaskRule, Rule, StatefulRule, Value, registered, rules
from harness.sampling.composition import COMPOSITIONS, DEFAULT


class SamplingRules(Mapping[str, Value]):
    """How the next token is drawn from the model's distribution: sampling rules and their values.

    `SamplingRules(temperature=1.0, top_k=5)`; rules that are left out are neutral, and neutral
    ones are left out, so that what draws alike is equal. With none, decoding is greedy: the first
    of the most probable tokens. Immutable and hashable; in the order in which the rules act, which
    `compose` says (`harness.sampling.composition`). Rules that are `tried` act although they are
    neutral: that they change nothing is then seen, and not assumed.

    Raises:
        RegistryError: a name that is not a registered rule.
    """

    __slots__ = ("_values", "acting", "compose", "random", "tried")

    def __init__(
        self, *, compose: str = DEFAULT, tried: Iterable[str] = (), **values: Value
    ) -> None:
        composition = COMPOSITIONS[compose]
        found = sorted(
            ((rules.get(name), value) for name, value in values.items()),
            key=lambda each: composition.place(each[0]),
        )
        self.random = any(rule.draws and not rule.is_neutral(value) for rule, value in found)
        """Whether tokens are drawn at random."""
        self.tried = frozenset(tried if self.random else ())
        self._values = {
            rule.name: value
            for rule, value in found
            if rule.name in self.tried or not rule.is_neutral(value)
        }
        every: list[Rule] = [rule for rule, _ in found if rule.name in self._values]
        self.acting = tuple(
            composition.variants.get(rule.name, rule)
            for rule in every
            if self.random or not (rule.keeps_best or isinstance(rule, CountRule | MaskRule))
        )
        """The rules that can make a difference; none where decoding is plainly greedy."""
        self.compose = compose if self.acting else DEFAULT
        """In which order they act; the default where none does."""

    @property
    def stateful(self) -> tuple[StatefulRule, ...]:
        """Those of them that keep a state."""
        return tuple(rule for rule in self.acting if isinstance(rule, StatefulRule))

    @property
    def content(self) -> list[Any]:
        """What a request's key says of them."""
        own = [
            part
            for rule in registered()
            for part in rule.content(self._values.get(rule.name, rule.neutral))
        ]
        own += [] if self.compose == DEFAULT else [["compose", self.compose]]
        return own + ([["tried", *sorted(self.tried)]] if self.tried else [])

    def plain(self) -> dict[str, Any]:
        """All of it as JSON has it."""
        values = {name: rules.get(name).plain(value) for name, value in self._values.items()}
        return {"compose": self.compose, "tried": sorted(self.tried), "values": values}

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> SamplingRules:
        """The rules that `plain` wrote."""
        values = {name: rules.get(name).value(each) for name, each in plain["values"].items()}
        return cls(compose=plain["compose"], tried=plain["tried"], **values)

    def __getitem__(self, name: str) -> Value:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, SamplingRules):
            return self._identity == other._identity
        return isinstance(other, Mapping) and dict(self) == dict(other)

    def __hash__(self) -> int:
        return hash((frozenset(self._values.items()), self.compose))

    @property
    def _identity(self) -> tuple[Any, ...]:
        return self._values, self.compose, self.tried

    def __reduce__(self) -> tuple[Any, ...]:
        # Rules are found anew where they are registered.
        return _rules_of, (self._values, self.compose, self.tried)

    def __repr__(self) -> str:
        given = [f"{name}={value!r}" for name, value in self._values.items()]
        given += [] if self.compose == DEFAULT else [f"compose={self.compose!r}"]
        given += [f"tried={sorted(self.tried)}"] if self.tried else []
        return f"SamplingRules({', '.join(given)})"


def _rules_of(values: Mapping[str, Value], compose: str, tried: frozenset[str]) -> SamplingRules:
    return SamplingRules(compose=compose, tried=tried, **values)
