"""`titrate probes SPEC`: what a linear classifier finds at each layer of a spec's model."""

from __future__ import annotations

import argparse
import io
import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import FieldError, ModelError
from harness.options import add_to_argparse, overrides

if TYPE_CHECKING:
    from harness.measure.probes import LayerProbe


BELOW_CHANCE = (
    "* shuffled labels score below chance (0.5): what they lack is a fault of the control, not\n"
    "  something that the probe knows; selectivity above 0.5 comes from there"
)


def declare(parser: argparse.ArgumentParser) -> None:
    """State the arguments of `titrate probes`."""
    parser.add_argument("spec", type=Path, metavar="SPEC", help="a spec with a vector from pairs")
    add_to_argparse(parser, "set", "store", set="set a field of the spec; may be repeated")
    parser.add_argument("--folds", type=_folds, default=5, metavar="N", help="default: 5")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of folds and labels")
    parser.add_argument("-o", "--output", type=Path, metavar="DIR", help="default: below reports/")
    parser.set_defaults(run=run)


def run(parsed: argparse.Namespace) -> int:
    """Probe every layer; print the table, write it with its plot."""
    from harness.models.reference import check_model
    from harness.runs.requirements import unmet
    from harness.spec import load

    experiment, source = load(parsed.spec, overrides(vars(parsed)))
    reason = unmet(experiment)
    if reason is not None:
        print(f"skipped: {parsed.spec} {reason}")
        return 0
    check_model(experiment, source)  # before torch is imported, for seconds
    from harness.engines import open_engine
    from harness.files.atomic import check_writable, output, write_file
    from harness.measure.probes import check_folds
    from harness.report.figures.probe_plots import probe_plot
    from harness.report.write import default_directory
    from harness.resolve.activation_cache import ActivationCache
    from harness.resolve.steering_probes import probing
    from harness.runs.deferred import DeferredEngine
    from harness.store.completions import CompletionStore
    from harness.store.places import activations_below, store_below

    try:
        wanted = probing(experiment)
    except FieldError as error:
        raise source.locate(error) from error
    except ModelError as error:
        raise source.locate(FieldError("model", str(error))) from error
    check_folds(len(wanted.pairs), parsed.folds)  # before a model is loaded
    folder = parsed.output or default_directory(Path.cwd(), datetime.now(UTC))
    with output(folder):
        check_writable(folder)  # before a model is loaded
    store = CompletionStore(parsed.store or store_below(Path.cwd()))
    engine = DeferredEngine(
        experiment.model,
        experiment.engine,
        lambda: open_engine(experiment.model, experiment.engine, wanted.needs),
        store,
    )
    try:
        cache = ActivationCache(activations_below(store.directory))
        found = wanted.run(
            engine,
            cache,
            folds=parsed.folds,
            seed=parsed.seed,
            done=lambda each: print(f"titrate: layer {each.layer} probed", file=sys.stderr),
        )
        facts = wanted.facts(engine, folds=parsed.folds, seed=parsed.seed)
    finally:
        engine.close()
        store.close()
    rows = [_row(each) for each in found]
    document = {**facts, "layers": rows}
    write_file(folder / "probes.json", json.dumps(document, indent=1, allow_nan=False) + "\n")
    write_file(folder / "probes.csv", _csv(rows))
    subtitle = f"{facts['count']} pairs of {wanted.vector.pairs}, position {facts['position']}"
    image = io.BytesIO()
    probe_plot(found, experiment.name, f"{experiment.model}, {subtitle}").savefig(
        image, format="png"
    )
    write_file(folder / "probes.png", image.getvalue())
    print(_table(found))
    print(f"probes: {folder}")
    return 0


def _row(each: LayerProbe) -> dict[str, float | bool]:
    return {
        "layer": each.layer,
        "auc": each.probe.auc,
        "ci_low": each.probe.ci_low,
        "ci_high": each.probe.ci_high,
        "control_auc": each.control.auc,
        "control_ci_low": each.control.ci_low,
        "control_ci_high": each.control.ci_high,
        "selectivity": each.selectivity,
        "control_below_chance": each.below_chance,
    }


def _csv(rows: Sequence[dict[str, float | bool]]) -> str:
    import pandas as pd

    return str(pd.DataFrame(rows).to_csv(index=False, lineterminator="\n"))


def _table(found: Sequence[LayerProbe]) -> str:
    lines = [f"{'layer':>5}  {'auc':<19}  {'shuffled labels':<19}  selectivity"]
    for each in found:
        texts = [
            f"{score.auc:.2f} [{score.ci_low:.2f}, {score.ci_high:.2f}]"
            for score in (each.probe, each.control)
        ]
        mark = " *" if each.below_chance else ""
        selectivity = f"{each.selectivity:+.2f}{mark}"
        lines.append(f"{each.layer:>5}  {texts[0]:<19}  {texts[1]:<19}  {selectivity}")
    if any(each.below_chance for each in found):
        lines.append(BELOW_CHANCE)
    return "\n".join(lines)


def _folds(text: str) -> int:
    if not text.isdecimal() or int(text) < 2:
        raise argparse.ArgumentTypeError(f"{text} is not a number of folds; use 2 or more")
    return int(text)
