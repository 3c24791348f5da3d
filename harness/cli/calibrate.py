"""`titrate calibrate TRACES... -o DIR`: a calibration from top-k traces that were made before."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any


def declare(parser: argparse.ArgumentParser) -> None:
    """State the arguments of `titrate calibrate`."""
    parser.add_argument(
        "traces",
        nargs="+",
        type=Path,
        metavar="TRACES",
        help="JSON Lines, a token each, as the code of Sample Smart, Not Hard and "
        "`measure: calibration` write them",
    )
    parser.add_argument("-o", "--output", required=True, type=Path, metavar="DIR")
    parser.add_argument(
        "--spec",
        type=Path,
        metavar="SPEC",
        help="a spec with the model and the task that the traces are of, whose samples are then "
        "refused where the fit is tested (default: not known)",
    )
    parser.set_defaults(run=run)


def run(parsed: argparse.Namespace) -> int:
    """Write the grid, what follows from it and its picture; name them, and the fit."""
    from harness.files.atomic import write_file
    from harness.measure.calibration import THRESHOLDS
    from harness.measure.calibration_files import GRID, RESULT, grid_table, read_again, result
    from harness.report.figures.calibration_plot import write_pdf
    from harness.statistics.calibration import grid

    about = _about(parsed.spec)
    cells = grid(read_again(parsed.traces))
    found = result(cells, THRESHOLDS, about)
    parsed.output.mkdir(parents=True, exist_ok=True)
    write_file(parsed.output / GRID, grid_table(cells))
    write_file(parsed.output / RESULT, json.dumps(found, indent=1) + "\n")
    write_pdf(parsed.output, parsed.traces[0].stem)
    for name in (RESULT, GRID, "calibration.pdf"):
        print(parsed.output / name)
    fit = found["fit"]
    if fit is None:
        print("no fit: too few cells of the grid are filled")
    else:
        print(f"ln c = {fit['a']:.4g} + {fit['b']:.4g} ln p, over {found['tokens']} tokens")
    if not about["asked"]:
        print(
            "titrate: which samples were traced is not known, so that none of them is refused as a "
            "test of the fit; name them by --spec",
            file=sys.stderr,
        )
    return 0


def _about(spec: Path | None) -> dict[str, Any]:
    """What is known of whence the traces are, as a measured calibration says it."""
    if spec is None:
        return {"model": None, "task": None, "samples": None, "asked": []}
    from harness.resolve.tasks import task_of
    from harness.spec import load

    experiment, _ = load(spec)
    task = task_of(experiment.task, experiment.prompt)
    asked = sorted({task.digest(sample) for sample in task.samples})
    return {
        "model": experiment.model,
        "task": task.name,
        "samples": len(task.samples),
        "asked": asked,
    }
