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
    model, given = asked_model(parsed.arguments)
    from lm_eval.__main__ import cli_evaluate

    from harness.runs.lm_eval_model import NAME, case_of  # registers the model
    from harness.tasks.lm_eval.code_eval import isolation, sandboxed

    if model == NAME and given is not None:
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
        if (level := isolation()) is not None:
            print(f"titrate: what the model wrote ran in our sandbox ({level})", file=sys.stderr)
    return 0


def asked_model(arguments: Sequence[str]) -> tuple[str | None, dict[str, Any] | None]:
    """The model that lm-eval's words name, and what is said to it; None where they leave that to a
    file (`--config`).

    Raises:
        TitrateError: a value with a comma, at which lm-eval would cut it.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--model", "-M")
    parser.add_argument("--model_args", "-a", nargs="+", action="extend")
    parser.add_argument("--config", "-C")
    found, _ = parser.parse_known_args(list(arguments))
    if found.model_args is None:
        return found.model, None if found.config else {}
    return found.model, _said(found.model_args)


def _said(words: Sequence[str]) -> dict[str, Any]:
    from harness.errors import TitrateError

    found: dict[str, Any] = {}
    for each in words:
        if (document := _document(each)) is not None:
            found |= document
            continue
        wrong = next((part for part in each.split(",") if part and "=" not in part), None)
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
