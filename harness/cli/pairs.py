"""`titrate pairs ...`: from two kinds of runs to pairs, and from pairs to tokens and verdicts."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable
from dataclasses import replace
from datetime import date
from pathlib import Path

from harness.errors import TaskError

_MODEL_HELP = "whose chat template and tokenizer are used (default: zoo/moe)"
_SHOWN = 20


def declare(parser: argparse.ArgumentParser) -> None:
    """State the verbs of `titrate pairs`, and their arguments."""
    verbs = parser.add_subparsers(required=True, metavar="VERB")

    build = verbs.add_parser("build", help="make pair_prompts.json")
    build.add_argument("--data", metavar="FILE", help="records: .jsonl, .jsonl.gz or .parquet")
    build.add_argument("--assisted", metavar="FILE", help="prompts of the assisted run")
    build.add_argument("--agentic", metavar="FILE", help="message traces of the agentic run")
    build.add_argument("--agentic-fallback", metavar="FILE", help="traces the first file lacks")
    build.add_argument("--skip-missing", action="store_true", help="leave incomplete samples out")
    build.add_argument("--task", metavar="TASK", help="without files (default: micro_humaneval)")
    build.add_argument("--model", default="zoo/moe", metavar="MODEL", help=_MODEL_HELP)
    build.add_argument(
        "--date", metavar="DAY", help="told to a template that prints one: 2026-01-31 (today)"
    )
    build.add_argument("--output", type=Path, default=Path("pair_prompts.json"), metavar="FILE")
    build.set_defaults(run=_build)

    align = verbs.add_parser("align", help="make pair_tokens.json")
    align.add_argument("pairs", type=Path, nargs="?", default=Path("pair_prompts.json"))
    align.add_argument("--model", default="zoo/moe", metavar="MODEL", help=_MODEL_HELP)
    align.add_argument("--output", type=Path, metavar="FILE", help="default: beside the pairs")
    align.add_argument("--cache", action="store_true", help="write a binary copy for fast loading")
    align.set_defaults(run=_align)

    points = verbs.add_parser("points", help="make a points file of a mask in any form")
    points.add_argument("mask", type=Path, metavar="FILE")
    points.add_argument("--output", type=Path, default=Path("points.json"), metavar="FILE")
    points.set_defaults(run=_points)

    evaluate = verbs.add_parser("evaluate", help="score a folder of the study's decode files")
    evaluate.add_argument("folder", type=Path, metavar="DIR")
    evaluate.add_argument("--task", default="humaneval", metavar="TASK")
    evaluate.add_argument("--data", metavar="FILE", help="the task's records, instead of its own")
    evaluate.add_argument("--output", type=Path, metavar="FILE", help="default: beside the folder")
    evaluate.set_defaults(run=_evaluate)


def _build(parsed: argparse.Namespace) -> int:
    from harness.files.atomic import output
    from harness.models.loading import load_tokenizer
    from harness.tasks.by_name import load
    from harness.tasks.pairs.files import write_prompts
    from harness.tasks.pairs.making import pairs_from_files, pairs_from_task
    from harness.tasks.pairs.sources import read_assisted, read_traces

    sides = {"--assisted": parsed.assisted, "--agentic": parsed.agentic}
    given = [name for name, path in sides.items() if path is not None]
    if len(given) == 1:
        other = next(name for name in sides if name not in given)
        raise TaskError(f"{given[0]} needs {other} beside it; a pair has two sides")
    if not given and (parsed.data or parsed.agentic_fallback):
        lone = "--data" if parsed.data else "--agentic-fallback"
        raise TaskError(f"{lone} needs --assisted and --agentic beside it")
    if given and parsed.task:
        raise TaskError(f"--task {parsed.task} is for pairs without files; leave it out")
    day = _day(parsed.date)
    tokenizer = load_tokenizer(parsed.model)
    if given:
        built = pairs_from_files(
            [sample.record for sample in load("humaneval", path=parsed.data).samples],
            read_assisted(parsed.assisted),
            read_traces(parsed.agentic, parsed.agentic_fallback),
            tokenizer,
            skip_missing=parsed.skip_missing,
            day=day,
        )
    else:
        task = replace(load(parsed.task or "micro_humaneval"), date=day)
        built = pairs_from_task(task, tokenizer)
    if not built.pairs:
        raise TaskError(f"no pair could be built, first {built.problems[0]}")
    with output(parsed.output):
        write_prompts(built.pairs, parsed.output)
    missing = sum(problem.missing for problem in built.problems)
    broken = len(built.problems) - missing
    print(f"built {len(built.pairs)} pairs; left out {missing} incomplete and {broken} bad ones")
    _show(str(problem) for problem in built.problems)
    print(f"pairs: {parsed.output}")
    return 0


def _day(text: str | None) -> date | None:
    from harness.spec import PromptSettings

    try:
        return PromptSettings(date=text).day
    except ValueError:
        raise TaskError(f"--date {text} is not a day; write it as 2026-01-31") from None


def _align(parsed: argparse.Namespace) -> int:
    from harness.files.atomic import output
    from harness.models.loading import load_config, load_tokenizer
    from harness.tasks.pairs.align import Aligner
    from harness.tasks.pairs.files import read_prompts, write_tokens

    pairs = read_prompts(parsed.pairs)
    context = load_config(parsed.model).get_text_config().max_position_embeddings
    aligner = Aligner(load_tokenizer(parsed.model), context)
    aligned = {pair.key: aligner.align(pair) for pair in pairs}
    target = parsed.output or parsed.pairs.with_name("pair_tokens.json")
    with output(target):
        write_tokens(aligned, target, cache=parsed.cache)
    failed = {key: pair for key, pair in aligned.items() if not pair.aligned_ok}
    warned = {
        key: pair for key, pair in aligned.items() if pair.aligned_ok and pair.aligned_warnings
    }
    print(
        f"aligned {len(aligned) - len(failed)} of {len(aligned)} pairs, {len(warned)} of them "
        "with warnings"
    )
    _show(f"{key}: {'; '.join(pair.aligned_errors)}" for key, pair in failed.items())
    _show(f"{key}: warning: {'; '.join(pair.aligned_warnings)}" for key, pair in warned.items())
    print(f"tokens: {target}")
    return 0


def _points(parsed: argparse.Namespace) -> int:
    from harness.files.atomic import output, write_file
    from harness.tasks.pairs.points import read_mask

    points = read_mask(parsed.mask)
    entries = [{"layer": layer, "router": expert} for layer, expert in points]
    with output(parsed.output):
        write_file(parsed.output, json.dumps(entries) + "\n")
    print(f"{len(points)} points: {parsed.output}")
    return 0


def _evaluate(parsed: argparse.Namespace) -> int:
    from harness.files.atomic import output, write_file
    from harness.tasks.by_name import load
    from harness.tasks.pairs.decodes import evaluate

    evaluation = evaluate(parsed.folder, load(parsed.task, path=parsed.data))
    target = parsed.output or parsed.folder.with_name(f"{parsed.folder.name}_eval_results.json")
    with output(target):
        write_file(target, json.dumps(evaluation.document(), indent=2) + "\n")
    for variant, counts in evaluation.counts.items():
        print(f"{variant}: {counts['pass']} of {counts['pass'] + counts['fail']} passed")
    _show(str(problem) for problem in evaluation.problems)
    print(f"results: {target}")
    return 0


def _show(lines: Iterable[str]) -> None:
    """Problems, one a line, on the error stream; of very many only the first."""
    listed = list(lines)
    for line in listed[:_SHOWN]:
        print(f"titrate: {line}", file=sys.stderr)
    if len(listed) > _SHOWN:
        print(f"titrate: and {len(listed) - _SHOWN} more", file=sys.stderr)
