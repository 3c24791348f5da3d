"""`titrate list KIND`: everything of one kind that a spec can name, and what it is."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Callable, Mapping
from textwrap import wrap


def declare(parser: argparse.ArgumentParser) -> None:
    """State the arguments of `titrate list`."""
    parser.add_argument("kind", choices=list(KINDS), metavar="KIND", help=", ".join(KINDS))
    parser.add_argument("--json", action="store_true", help="for other programs")
    parser.set_defaults(run=run)


def run(parsed: argparse.Namespace) -> int:
    """Print a line for each: its name, and what it is."""
    found = KINDS[parsed.kind]()
    if parsed.json:
        print(json.dumps(found, indent=2, ensure_ascii=False))
        return 0
    columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    print(*lines(found, columns), sep="\n", end="\n" if found else "")
    if not found:
        print(f"no {parsed.kind} are registered")
    return 0


def lines(found: Mapping[str, str], columns: int | None) -> list[str]:
    """Names and their meanings side by side: wrapped to a terminal's columns, else a line each."""
    width = max(map(len, found), default=0)
    if columns is None:
        return [f"{name:<{width}}  {meaning}".rstrip() for name, meaning in found.items()]
    room = min(width, columns // 3)
    under = " " * (room + 2)
    told = []
    for name, meaning in found.items():
        if len(name) > room:
            told.append(name)
            name = ""
        told += wrap(
            f"{name:<{room}}  {meaning}",
            columns,
            subsequent_indent=under,
            break_on_hyphens=False,
        )
    return told


def _registered(name: str) -> Callable[[], Mapping[str, str]]:
    """What a registry has, that of installed packages included."""

    def summaries() -> Mapping[str, str]:
        from harness import registry

        found: Mapping[str, str] = getattr(registry, name).summaries()
        return found

    return summaries


def _models() -> Mapping[str, str]:
    """The zoo's members, and what other models can be: any, and which have routers to mask."""
    from harness.models import zoo
    from harness.models.routers import ARCHITECTURES

    return {
        **{f"zoo/{name}": zoo.card(name)["purpose"] for name in (*zoo.names(), *zoo.packaged())},
        "./FOLDER": "a checkpoint that transformers' AutoModelForCausalLM loads",
        "./FILE.gguf": "a GGUF file, dequantised by transformers; on the hub OWNER/NAME:FILE.gguf",
        "OWNER/NAME": "the same on the Hugging Face hub; router masks know the routers of "
        f"{', '.join(ARCHITECTURES)}",
    }


def _organisms() -> Mapping[str, str]:
    """Those that ship with us: what each was made of, and its variants."""
    from harness.models.organisms import load_organism, organism_names

    found = {}
    for name in organism_names():
        organism = load_organism(name)
        kind = organism.type.replace("_", " ")
        found[name] = f"{kind} put into {organism.base}: {', '.join(organism.variants)}"
    return {**found, "./FILE.yaml": "one of your own (docs/models.md)"}


def _gates() -> Mapping[str, str]:
    from inspect import getdoc

    from harness.spec.gates import CLAIMS

    return {form.FORM: (getdoc(form) or "").partition("\n")[0] for form in CLAIMS}


KINDS: Mapping[str, Callable[[], Mapping[str, str]]] = {
    "tasks": _registered("tasks"),
    "answers": _registered("answers"),
    "interventions": _registered("interventions"),
    "triggers": _registered("triggers"),
    "rules": _registered("rules"),
    "measures": _registered("measures"),
    "metrics": _registered("metrics"),
    "judges": _registered("judges"),
    "columns": _registered("columns"),
    "exports": _registered("exports"),
    "models": _models,
    "organisms": _organisms,
    "engines": _registered("engines"),
    "gates": _gates,
}
"""What can be listed, each with the function that lists it."""
