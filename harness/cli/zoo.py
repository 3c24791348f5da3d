"""`titrate zoo list`: the tiny models that ship with us, one of a package, how good they are."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping
from typing import Any


def declare(parser: argparse.ArgumentParser) -> None:
    """State the verbs of `titrate zoo`."""
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    verb = verbs.add_parser("list", help="sizes, accuracies and how they were measured")
    verb.set_defaults(run=run)


def run(_parsed: argparse.Namespace) -> int:
    """Print the table of all members."""
    from harness.models import zoo

    print(listing(zoo.card(name) for name in (*zoo.names(), *zoo.packaged())), end="")
    return 0


def listing(cards: Iterable[Mapping[str, Any]]) -> str:
    """The zoo as a table: sizes and accuracies, and below it how these were measured."""
    from harness.cli.plain import plain, table
    from harness.spec.style import STYLES

    numbers = ("parameters", "MB")
    rows = table("model", *numbers, "task", *STYLES, right=frozenset({*numbers, *STYLES}))
    purposes, measured = [], dict[str, list[str]]()
    for card in cards:
        name = f"zoo/{card['name']}"
        head = [name, f"{card['parameters']:,}", f"{card['bytes'] / 1e6:.1f}"]
        for task, accuracy in (card["accuracy"] or {"-": {}}).items():
            rates = (f"{accuracy[style]:.1%}" if style in accuracy else "-" for style in STYLES)
            rows.add_row(*head, task, *rates)
            head = [""] * len(head)
        purposes.append(f"{name}: {card['purpose']}")
        if card["measured"]:
            measured.setdefault("; ".join(card["measured"].values()), []).append(name)
    notes = [f"Measured ({', '.join(names)}): {how}." for how, names in measured.items()]
    return plain(rows, *purposes, "", *notes)
