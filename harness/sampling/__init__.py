"""How tokens are drawn: sampling rules, each written once, in a file of its own below `builtin/`.

A spec, the keys of requests, both engines and the identities of sampling ask the registered rules
and name none of them. Nothing here imports torch when it is imported: specs are read from it.
"""

from harness.registry import rules
from harness.sampling.rule import CountRule, LogitsRule, MaskRule, Rule, StatefulRule, Value


def registered() -> tuple[Rule, ...]:
    """All rules: those whose bare values keys have always had first, the others by their names.

    Raises RegistryError for one that cannot be imported.
    """
    found: list[Rule] = [rules.get(name) for name in rules.names()]
    return tuple(sorted(found, key=lambda rule: (rule.column is None, rule.column or 0, rule.name)))


__all__ = [
    "CountRule",
    "LogitsRule",
    "MaskRule",
    "Rule",
    "StatefulRule",
    "Value",
    "registered",
    "rules",
]
