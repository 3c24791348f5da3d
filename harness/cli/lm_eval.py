"""`titrate lm-eval ARGS...`: lm-eval's command line, which knows `--model titrate`.

lm-eval 0.4.13 finds models by its own table alone; so its command line is called from here, when
ours is registered. Its code tasks run in our sandbox.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any


def declare(parser: argparse.ArgumentParser) -> None:
    """State the arguments of `titrate lm-eval`: all are lm-eval's."""
    parser.add_argument(
        "arguments",
        nargs=argparse.REMAINDER,
        metavar="ARGS",
        help="lm-eval's, such as: run --model titrate --model_args spec=FILE,case=ID --tasks NAME",
    )
    parser.set_defaults(run=run)


def run(parsed: argparse.Namespace) -> int:
    """Run lm-eval's command line in this process; its exit status."""
    from harness.errors import TitrateError

    if find_spec("lm_eval") is None:
        raise TitrateError("lm-eval is not installed; pip install 'pytest-titrate[lm-eval]'")
    given = model_args(parsed.arguments)
    from lm_eval.__main__ import cli_evaluate

    from harness.runs.lm_eval_model import NAME, case_of  # registers the model
    from harness.tasks.lm_eval.code_eval import sandboxed

    if NAME in parsed.arguments:
        case_of(**given)  # what is wrong with it is told before lm-eval reads its tasks
    before = sys.argv
    sys.argv = ["lm-eval", *parsed.arguments]
    try:
        with sandboxed():
            cli_evaluate()
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    finally:
        sys.argv = before
    return 0


def model_args(arguments: Sequence[str]) -> dict[str, Any]:
    """What is said to the model; raises TitrateError for a value with a comma, at which lm-eval
    would cut it in silence.
    """
    from harness.errors import TitrateError

    found: dict[str, Any] = {}
    taken = False
    for each in arguments:
        if each.startswith("-"):
            taken = each in ("--model_args", "-a")
            continue
        if not taken:
            continue
        if (document := _document(each)) is not None:
            found |= document
            continue
        wrong = next((part for part in each.split(",") if "=" not in part), None)
        if wrong is not None:
            raise TitrateError(
                f"--model_args {each!r}: lm-eval cuts it at the comma, and {wrong!r} has no value; "
                'write it as JSON: --model_args \'{"spec": "...", "case": "..."}\''
            )
        found |= dict(part.split("=", 1) for part in each.split(",") if part)
    return found


def _document(text: str) -> dict[str, Any] | None:
    """A JSON object, where it is one."""
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
