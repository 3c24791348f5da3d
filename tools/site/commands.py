"""The page of all verbs of `titrate`, with the help that each prints."""

from __future__ import annotations

import argparse
import os
from unittest.mock import patch

from harness.cli.main import VERBS, parser


def page() -> str:
    """A section for each verb."""
    told = ["# Commands", "", "What `titrate VERB --help` prints.", ""]
    with patch.dict(os.environ, {"COLUMNS": "80"}):
        for verb, meaning in VERBS.items():
            told += [f"## titrate {verb}", "", f"{meaning[0].upper()}{meaning[1:]}.", ""]
            for asked in _parsers(parser([verb]), verb):
                told += ["```text", asked.format_help().rstrip(), "```", ""]
    return "\n".join(told)


def _parsers(whole: argparse.ArgumentParser, verb: str) -> list[argparse.ArgumentParser]:
    """The parser of a verb, and those of its own verbs."""
    own = _below(whole)[verb]
    return [own, *_below(own).values()]


def _below(above: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    return {
        name: each
        for action in above._actions  # noqa: SLF001  argparse offers no other way
        if isinstance(action, argparse._SubParsersAction)  # noqa: SLF001
        for name, each in action.choices.items()
    }
