"""Train a member of the zoo again from its recipe: `python tools/zoo/build.py NAME`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

if __name__ == "__main__":  # a script finds what lies beside it, and not the project around it
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from harness import sandbox
from harness.errors import ModelError, TitrateError
from tools.zoo.building import build_member
from tools.zoo.recipes import RECIPES

if TYPE_CHECKING:
    from tools.zoo.training import Step


def main(arguments: Sequence[str] | None = None) -> int:
    """Train the named member, measure it and write it; returns the exit status."""
    parser = argparse.ArgumentParser(prog="tools/zoo/build.py", description=__doc__)
    parser.add_argument("name", metavar="NAME", help=f"one of {', '.join(RECIPES)}")
    parser.add_argument(
        "--output", type=Path, metavar="FOLDER", help="where it goes (default: NAME)"
    )
    parsed = parser.parse_args(arguments)
    try:
        output = build(parsed.name, parsed.output or Path(parsed.name))
    except TitrateError as error:
        print(f"build.py: {error}", file=sys.stderr)
        return 2
    print(f"built {parsed.name} in {output}")
    return 0


def build(name: str, output: Path) -> Path:
    """Train a member into an empty or new folder; takes minutes.

    Raises:
        ModelError: there is no such recipe, or the folder holds something.
        SandboxError: the code that it writes cannot be run here, so that it cannot be measured.
    """
    if name not in RECIPES:
        known = ", ".join(RECIPES)
        raise ModelError(f"the zoo has no recipe for {name}; use one of {known}")
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise ModelError(
            f"{output} exists and is not an empty folder; give a new one with --output"
        )
    sandbox.choose()  # refused before the training, not after it
    print(f"training {name}", file=sys.stderr)
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as bar:
        bar.add_task("training", total=None)
        return build_member(RECIPES[name], output, partial(_show, bar))


def _show(bar: Progress, step: Step) -> None:
    """One more step on the bar. The last one is followed by the measurement, without a bar."""
    doing = "measuring" if step.number == step.of else f"loss {step.target_loss:.2f}"
    bar.update(bar.task_ids[0], description=doing, total=step.of, advance=1)


if __name__ == "__main__":
    sys.exit(main())
