"""Make an organism's adapters again: `python tools/zoo/organisms.py NAME [VARIANT ...]`."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

if __name__ == "__main__":  # a script finds what lies beside it, and not the project around it
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import torch

from harness.errors import ModelError, TitrateError
from harness.models.loading import load
from tools.zoo.tuning import ORGANISMS, Tuned, Tuning, tune

_FOLDER = Path(__file__).parents[2] / "harness" / "models" / "organisms"


def main(arguments: Sequence[str] | None = None) -> int:
    """Train the named variants, all of them by default; returns the exit status."""
    parser = argparse.ArgumentParser(prog="tools/zoo/organisms.py", description=__doc__)
    parser.add_argument("name", metavar="NAME", help=f"one of {', '.join(ORGANISMS)}")
    parser.add_argument("variants", metavar="VARIANT", nargs="*", help="all of them by default")
    parser.add_argument("--output", type=Path, metavar="FOLDER", default=_FOLDER)
    parsed = parser.parse_args(arguments)
    try:
        for folder in build(parsed.name, parsed.variants, parsed.output):
            print(f"built {folder}")
    except TitrateError as error:
        print(f"organisms.py: {error}", file=sys.stderr)
        return 2
    return 0


def build(name: str, variants: Sequence[str], output: Path) -> list[Path]:
    """Train variants of an organism below `output/NAME`; returns their folders.

    Raises:
        ModelError: there is no such organism, or no such variant of it.
    """
    if name not in ORGANISMS:
        raise ModelError(f"there is no recipe for {name}; use one of {', '.join(ORGANISMS)}")
    organism = ORGANISMS[name]
    unknown = set(variants) - organism.tunings.keys()
    if unknown:
        known = ", ".join(organism.tunings)
        raise ModelError(f"{name} has no variant {min(unknown)}; use one of {known}")
    return [
        train(organism, organism.tunings[each], output / name / each)
        for each in variants or organism.tunings
    ]


def train(organism: Tuned, tuning: Tuning, folder: Path) -> Path:
    """Train one fine-tune and write it in bfloat16, as PEFT does, without PEFT's model card."""
    loaded = load(organism.base, dtype="float32", device="cpu")
    model = tune(loaded.model, loaded.tokenizer, tuning, organism)
    shutil.rmtree(folder, ignore_errors=True)
    model.peft_config["default"].base_model_name_or_path = organism.base
    model.to(torch.bfloat16).save_pretrained(folder)
    (folder / "README.md").unlink()
    (folder / "adapter_model.safetensors").chmod(0o644)  # as a member's weights
    config = folder / "adapter_config.json"
    document = json.loads(config.read_text("utf-8"))
    config.write_text(json.dumps(document, indent=2, sort_keys=True) + "\n", "utf-8")
    return folder


if __name__ == "__main__":
    sys.exit(main())
