"""`titrate vectors build|import|export|show`: steering vectors as files."""

from __future__ import annotations

import argparse
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from harness.errors import VectorError
from harness.interventions.steering_terms import Method, Site
from harness.options import add_to_argparse, overrides
from harness.tasks.base import Style

if TYPE_CHECKING:
    from harness.interventions.vector_file import SteeringVectors
    from harness.spec import Experiment

_OWN = Path("vectors.safetensors")
#: Options that describe a vector where no spec does, and the fields of a spec that say the same.
_DESCRIBING = {
    "model": "model",
    "pairs": "intervention.vector.pairs",
    "method": "intervention.vector.method",
    "layer": "intervention.layer",
    "site": "intervention.site",
    "task": "task.name",
    "style": "prompt.style",
    "data": "intervention.vector.data",
    "samples": "intervention.vector.samples",
    "position": "intervention.vector.position",
}
_PAIRS_HELP = "styles, answers, or a file of pairs (./pairs.jsonl)"


def declare(parser: argparse.ArgumentParser) -> None:
    """State the verbs of `titrate vectors`, and their arguments."""
    verbs = parser.add_subparsers(required=True, metavar="VERB")

    build = verbs.add_parser("build", help="from contrastive pairs, on a model")
    build.add_argument("spec", nargs="?", type=Path, metavar="SPEC", help="whose vector is built")
    _add_engine(build, "change a field of the spec; without one, engine.FIELD=VALUE")
    _add_pairs(build)
    build.add_argument(
        "--method",
        choices=get_args(Method),
        help="default: mean",
    )
    build.add_argument("--layer", type=int, nargs="+", metavar="N", help="default: all layers")
    build.add_argument("--site", choices=get_args(Site), help="default: block")
    build.add_argument("-o", "--output", type=Path, default=_OWN, metavar="FILE")
    build.set_defaults(run=_build)

    bring = verbs.add_parser("import", help="from repeng (.gguf), steering-vectors or CAA (.pt)")
    bring.add_argument("files", type=Path, nargs="+", metavar="FILE")
    bring.add_argument("--layer", type=int, metavar="N", help="of a tensor whose file says none")
    _add_engine(bring, "engine.FIELD=VALUE, where --model is measured")
    _add_pairs(bring)
    bring.add_argument("-o", "--output", type=Path, default=_OWN, metavar="FILE")
    bring.set_defaults(run=_import)

    export = verbs.add_parser("export", help="for repeng (.gguf), steering-vectors or CAA (.pt)")
    export.add_argument("file", type=Path, metavar="FILE")
    export.add_argument("--format", choices=["repeng", "steering-vectors", "caa"])
    export.add_argument("--layer", type=int, nargs="+", metavar="N", help="default: all layers")
    export.add_argument("-o", "--output", type=Path, required=True, metavar="FILE")
    export.set_defaults(run=_export)

    show = verbs.add_parser("show", help="layers, norms, and what they were built from")
    show.add_argument("file", type=Path, metavar="FILE")
    show.add_argument("--layer", type=int, metavar="N", help="of a tensor whose file says none")
    show.set_defaults(run=_show)


def _add_engine(verb: argparse.ArgumentParser, meaning: str) -> None:
    """What reads the hidden states."""
    add_to_argparse(verb, "engine", "set", engine="transformers (default) or vllm", set=meaning)


def _add_pairs(verb: argparse.ArgumentParser) -> None:
    """Which hidden states are read: on which model, of which pairs, at which position."""
    verb.add_argument("--model", metavar="MODEL", help="zoo/NAME, ./folder or a Hugging Face id")
    verb.add_argument("--pairs", metavar="PAIRS", help=_PAIRS_HELP)
    verb.add_argument("--task", metavar="TASK", help="of built-in pairs (default: micro_humaneval)")
    verb.add_argument("--style", choices=get_args(Style))
    verb.add_argument("--data", metavar="FILE", help="training problems for built-in pairs")
    verb.add_argument("--samples", type=int, metavar="N", help="pairs that are read (default: 64)")
    verb.add_argument(
        "--position", metavar="RULE", help="last (default), answer, mean, or -2, -3, ..."
    )


def _build(parsed: argparse.Namespace) -> int:
    experiment = _described(parsed)
    if parsed.output.suffix != ".safetensors":
        raise VectorError(f"{parsed.output}: vectors are written as safetensors; see export")
    from harness.files.atomic import check_writable, output
    from harness.interventions.vector_formats import write_own
    from harness.launch.live import LiveLine
    from harness.resolve.steering_files import build

    with output(parsed.output):
        check_writable(parsed.output.parent)  # before a model is loaded
    line = LiveLine(sys.stderr)
    with closing(line), line.beside():
        vectors = build(experiment, line)
    write_own(vectors, parsed.output)
    print(_listing(parsed.output, vectors), end="")
    return 0


def _described(parsed: argparse.Namespace) -> Experiment:
    """What says which vector is built: either a spec or the options. Imports no torch."""
    from harness.models.reference import check_models, check_reference
    from harness.resolve.steering_asked import asked_in
    from harness.spec import expand, load

    if parsed.spec is None:
        if parsed.model is None or parsed.pairs is None:
            raise VectorError("a vector is built of a SPEC, or of --model and --pairs")
        check_reference(parsed.model)
        return _experiment(parsed, parsed.layer, parsed.site or "block")
    cases = expand(*load(parsed.spec, _overrides(parsed)))
    check_models(cases)
    experiment = asked_in(parsed.spec, cases)
    for option, field in _DESCRIBING.items():
        given = getattr(parsed, option)
        if given is not None:
            several = isinstance(given, list) and len(given) > 1
            value = given[0] if isinstance(given, list) and not several else given
            raise VectorError(
                f"--{option} is for a vector without a spec; with {parsed.spec} say "
                f"--set '{field}={value}'"
            )
    return experiment


def _overrides(parsed: argparse.Namespace) -> list[str]:
    if "," in (parsed.engine or ""):
        raise VectorError(f"--engine {parsed.engine}: states are read on one engine; name one")
    return overrides({"set": parsed.set, "engine": parsed.engine})


def _import(parsed: argparse.Namespace) -> int:
    if parsed.layer is not None and len(parsed.files) > 1:
        raise VectorError(f"--layer {parsed.layer} names the layer of one file, not of several")
    for option in ("pairs", "task", "style", "data", "samples", "position", "engine", "set"):
        if parsed.model is None and getattr(parsed, option) not in (None, []):
            raise VectorError(f"--{option} is for measuring hidden states; give --model with it")
    if parsed.model is not None:
        from harness.models.reference import check_reference

        check_reference(parsed.model)
    from harness.interventions.vector_formats import joined, read_any, write_own
    from harness.resolve.steering_files import foreign, measured

    vectors = joined([(file, read_any(file, parsed.layer)) for file in parsed.files])
    if parsed.model is not None:
        layers = list(vectors.vectors)
        warning = foreign(vectors, parsed.model)
        if warning is not None:
            print(f"warning: {warning}", file=sys.stderr)
        vectors = measured(vectors, _experiment(parsed, layers, vectors.site))
    write_own(vectors, parsed.output)
    print(_listing(parsed.output, vectors), end="")
    if "position" not in vectors.facts and any(file.suffix == ".gguf" for file in parsed.files):
        print(
            f"If layer {max(vectors.vectors)} is the model's last, repeng read it after the final "
            "norm: it is not a direction of that block's output."
        )
    if not vectors.residual_norms:
        print("Doses of it are `units: raw`; with --model residual norms are measured.")
    return 0


def _export(parsed: argparse.Namespace) -> int:
    from dataclasses import replace

    from harness.interventions.vector_formats import read_any, write_as

    # Of a bare tensor, which has no layer of its own, the one that is given is its layer.
    vectors = read_any(parsed.file, parsed.layer[0] if parsed.layer else None)
    if parsed.layer:
        missing = [layer for layer in parsed.layer if layer not in vectors.vectors]
        if missing:
            held = ", ".join(map(str, vectors.vectors))
            raise VectorError(f"{parsed.file}: has no vector of layer {missing[0]}; it has {held}")
        chosen = {layer: vectors.vectors[layer] for layer in sorted(set(parsed.layer))}
        norms = {each: norm for each, norm in vectors.residual_norms.items() if each in chosen}
        vectors = replace(vectors, vectors=chosen, residual_norms=norms)
    write_as(vectors, parsed.output, parsed.format)
    print(f"vectors: {parsed.output}")
    return 0


def _show(parsed: argparse.Namespace) -> int:
    from harness.interventions.vector_formats import joined, read_any

    vectors = read_any(parsed.file, parsed.layer)
    print(_listing(parsed.file, joined([(parsed.file, vectors)])), end="")
    return 0


def _experiment(parsed: argparse.Namespace, layers: list[int] | None, site: str) -> Experiment:
    """What a vector of the command line's settings would steer."""
    from harness.resolve.steering_asked import asked_by
    from harness.spec import engine_settings

    foreign = next((each for each in parsed.set if not each.startswith("engine.")), None)
    if foreign is not None:
        raise VectorError(f"--set {foreign}: without a SPEC only engine.FIELD=VALUE can be set")
    engine = engine_settings(_overrides(parsed))
    position = parsed.position or "last"
    vector = {
        "pairs": parsed.pairs or "styles",
        "data": parsed.data,
        "samples": 64 if parsed.samples is None else parsed.samples,
        "position": int(position) if position.lstrip("-").isdigit() else position,
        "method": _of(parsed, "method") or "mean",
    }
    task = parsed.task or "micro_humaneval"
    experiment = asked_by(
        parsed.model, task, vector, style=parsed.style or "assisted", layers=layers, site=site
    )
    return experiment.model_copy(update={"engine": engine})


def _of(parsed: argparse.Namespace, name: str) -> Any:
    return getattr(parsed, name, None)


def _listing(file: Path, vectors: SteeringVectors) -> str:
    """Each layer's vector: its norm, and relative to the residual stream."""
    from harness.cli.plain import plain, table

    titles = ("layer", "norm", "residual norm", "relative")
    rows = table(*titles, right=frozenset(titles))
    for layer, vector in vectors.vectors.items():
        norm = vectors.residual_norms.get(layer)
        known = ("-", "-") if norm is None else (f"{norm:.4g}", f"{vector.norm / norm:.3g}")
        rows.add_row(str(layer), f"{vector.norm:.4g}", *known)
    facts = ", ".join(f"{name} {value}" for name, value in vectors.facts.items())
    head = f"{file}: site {vectors.site}" + (f", {facts}" if facts else "")
    return f"{head}\n{plain(rows)}"
