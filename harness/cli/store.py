"""`titrate store list|verify|prune`: what is kept, whether it is whole, taking some of it out."""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import StoreError
from harness.options import add_to_argparse

if TYPE_CHECKING:
    from harness.store.care import Kept, Pruned

_DAY = 86_400.0


def declare(parser: argparse.ArgumentParser) -> None:
    """State the verbs of `titrate store`, and their arguments."""
    verbs = parser.add_subparsers(required=True, metavar="VERB")

    listing = verbs.add_parser("list", help="what is stored, by model and settings")
    listing.set_defaults(run=_list)
    verify = verbs.add_parser("verify", help="read every record; status 1 if any is damaged")
    verify.set_defaults(run=_verify)
    prune = verbs.add_parser(
        "prune", help="take records out; says what would go, unless --yes is given"
    )
    prune.add_argument("--older-than", type=_days, metavar="DAYS", help="written so long ago")
    prune.add_argument("--model", help="of this model, or of the engine with this fingerprint")
    prune.add_argument("--other-formats", action="store_true", help="files of other versions")
    prune.add_argument("--damaged", action="store_true", help="torn and altered records")
    prune.add_argument("--yes", action="store_true", help="really do it")
    prune.set_defaults(run=_prune)
    for verb in (listing, verify, prune):
        add_to_argparse(verb, "store", store="default: .titrate/store")


def _list(parsed: argparse.Namespace) -> int:
    from harness.store.care import contents, existing_shards, kept_verdicts, size_of

    directory = _directory(parsed)
    files = existing_shards(directory)
    size = sum(map(size_of, files))
    print(f"{directory}: {_count(len(files), 'file')}, {_size(size)}")
    kept = contents(directory)
    if kept:
        print(contents_table(kept), end="")
    for each in kept_verdicts(directory):
        print(f"verdicts of {each.task}: {each.verdicts:,}, {_size(each.size)}")
    _list_states(directory, kept)
    return 0


def _list_states(directory: Path, kept: Sequence[Kept]) -> None:
    """The hidden states of pairs that lie in the store, by model."""
    from harness.store.places import activations_below

    if not (folder := activations_below(directory)).exists():
        return
    from harness.store.hidden_states import kept_states  # with numpy

    names = {each.fingerprint: each.model for each in kept}
    sizes: dict[str, list[int]] = {}
    for states in kept_states(folder):
        if states.problem is None:
            model = names.get(states.facts["engine"], "unknown")
            sizes.setdefault(model, []).append(states.size)
    for model, each in sizes.items():
        print(f"hidden states of {model}: {_count(len(each), 'layer')}, {_size(sum(each))}")


def contents_table(kept: Sequence[Kept]) -> str:
    """What is stored, a row per engine, its settings below the row."""
    from harness.cli.plain import plain, table

    # Of scorings are told where there are any: few stores have them.
    scorings = any(each.scorings for each in kept)
    numbers = ("completions", "tokens", *["scorings"] * scorings, "size")
    rows = table("model", "fingerprint", "dtype", *numbers, "latest", right=frozenset(numbers))
    for each in kept:
        rows.add_row(
            each.model,
            each.fingerprint[:12],
            each.settings.get("dtype", "-"),
            f"{each.completions:,}",
            f"{each.tokens:,}",
            *[f"{each.scorings:,}"] * scorings,
            _size(each.size),
            f"{datetime.fromtimestamp(each.newest, UTC).astimezone():%Y-%m-%d %H:%M}",
        )
    chosen = ("policy", "device", "torch", "transformers", "titrate")
    settings = {
        each.fingerprint[:12]: [each.settings[name] for name in chosen if name in each.settings]
        for each in kept
    }
    return plain(rows, *(f"{name}: {', '.join(each)}" for name, each in settings.items() if each))


def _verify(parsed: argparse.Namespace) -> int:
    from harness.store.care import Damage, verify
    from harness.store.hidden_states import kept_states
    from harness.store.places import activations_below

    directory = _directory(parsed)
    whole, damages = verify(directory)
    for damage in damages:
        print(f"{damage.path}: {damage.problem}")
    for states in kept_states(activations_below(directory)):
        if states.problem is None:
            whole += 1
        else:
            damages.append(Damage(states.path, states.problem))
            print(f"{states.path}: {states.problem}")
    remedy = "; titrate store prune --damaged --other-formats takes them out" if damages else ""
    found = _count(len(damages), "place")
    print(f"{directory}: {_count(whole, 'record')} whole, {found} that cannot be used{remedy}")
    return 1 if damages else 0


def _prune(parsed: argparse.Namespace) -> int:
    from harness.store.care import by_age_and_model, contents, engines_of, prune, prune_states
    from harness.store.places import activations_below

    if not (
        parsed.older_than is not None or parsed.model or parsed.other_formats or parsed.damaged
    ):
        raise StoreError(
            "store prune: nothing is chosen; give --older-than DAYS, --model MODEL, "
            "--other-formats or --damaged"
        )
    directory = _directory(parsed)
    before = None if parsed.older_than is None else time.time() - parsed.older_than * _DAY
    kept = contents(directory)  # what an engine is may be among what is taken out
    pruned = prune(
        directory,
        by_age_and_model(before, parsed.model, kept),
        other_formats=parsed.other_formats,
        damaged=parsed.damaged,
        really=parsed.yes,
    )
    pruned += prune_states(
        activations_below(directory),
        before,
        engines_of(parsed.model, kept) if parsed.model else None,
        damaged=parsed.damaged,
        really=parsed.yes,
    )
    for each in pruned:
        print(_pruned(each))
    done = [each for each in pruned if not each.in_use]
    total = f"{_count(sum(each.records for each in done), 'record')}, "
    total += _size(sum(each.size for each in done))
    if parsed.yes:
        print(f"{directory}: {total} taken out")
    else:
        print(f"{directory}: {total} would be taken out; nothing was, add --yes to do it")
    return 0


def _pruned(each: Pruned) -> str:
    if each.in_use:
        return f"{each.path}: is being written by a run; left as it is"
    what = "the whole file" if each.whole else _count(each.records, "record")
    return f"{each.path}: {what}, {_size(each.size)}"


def _directory(parsed: argparse.Namespace) -> Path:
    from harness.store.places import store_below

    return parsed.store or store_below(Path())


def _days(text: str) -> float:
    try:
        days = float(text)
    except ValueError:
        days = math.nan
    if not days >= 0:
        raise argparse.ArgumentTypeError(f"{text} is not a number of days; use 0 or more")
    return days


def _count(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def _size(number: int) -> str:
    for unit in ("B", "kB", "MB"):
        if number < 1000:
            return f"{number:.3g} {unit}" if unit != "B" else f"{number} B"
        number /= 1000  # type: ignore[assignment]
    return f"{number:.3g} GB"
