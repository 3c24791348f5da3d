"""`titrate`: the verbs that need no pytest.

Each verb is the module of its name beside this one: `declare` states its arguments, and `run` takes
what was parsed and returns the exit status. Only the verb that was asked for is imported.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import sys
from collections.abc import Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Never

from harness.cli.examples import EXAMPLES
from harness.errors import TitrateError
from harness.files.project import project
from harness.launch.project import read_project
from harness.options import as_titrate, spelling
from harness.registry import before_next_use

VERBS = {
    "init": "write a project: specs of the zoo, benches, a CI workflow",
    "run": "run spec files and write one report",
    "plan": "how many samples and tokens each verdict takes, before a run",
    "ask": "ask one question of a model that may ask an oracle",
    "analyse": "what a model makes of finished answers: where an oracle spoke, or step by step",
    "search": "search for the best values of a spec's fields",
    "submit": "run spec files on a cluster: arrays of SLURM jobs",
    "status": "where a submitted run stands, task by task",
    "cancel": "end what waits and runs of a submitted run",
    "resubmit": "do what is lacking of a submitted run",
    "merge": "join the reports of all shards of a run",
    "rescore": "score a run's completions again, without a model",
    "report": "print the table of a report, or write its page",
    "browse": "one page over all reports below a folder",
    "open": "the page of a report, in the browser",
    "compare": "two runs case by case, paired by sample",
    "bundle": "a report and all behind it in one file, for strangers to check",
    "verify": "recompute a bundle's numbers from its tokens, without a model",
    "calibrate": "a calibration from top-k traces that were made before",
    "draws": "what several draws of a sample say together: votes, budgets, ranks",
    "export": "write a report in the format of another tool",
    "store": "completions that were made before",
    "vectors": "steering vectors as files",
    "probes": "probe the pairs of a spec's vector at every layer",
    "pairs": "the paired-prompt study: agentic against assisted",
    "list": "what a spec can name: tasks, interventions, models, ...",
    "schema": "print the JSON Schema of spec files or of reports",
    "zoo": "the tiny models that ship with the package",
    "lm-eval": "lm-eval's command line, with interventions and engines of ours",
    "doctor": "what this machine can do, found out by trying",
}
"""Every verb with what it does; its module is `harness.cli.VERB`, with _ for -."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; returns the exit status. Errors addressed to the user are one line each."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    command = shlex.join(["titrate", *given])
    try:
        with spelling(as_titrate):
            parsed = parser(given).parse_args(given, argparse.Namespace(command=command))
            settings = project(Path.cwd())
            settings.fill(parsed)
            before_next_use(partial(read_project, Path.cwd()))
            status: int = parsed.run(parsed)
        sys.stdout.flush()  # here, where a closed pipe is not an error
    except TitrateError as error:
        for line in str(error).splitlines():
            print(f"titrate: {line}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader of a pipe has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt as interrupt:
        said = ["titrate: interrupted", *getattr(interrupt, "__notes__", ())]
        print("; ".join(said), file=sys.stderr)
        return 130
    return status


class _Parser(argparse.ArgumentParser):
    """Refuses arguments in one line, as every other error is told; verbs inherit the class."""

    #: The parser of the verb that is asked for, which knows the options of the command.
    verb: argparse.ArgumentParser | None = None

    def error(self, message: str) -> Never:
        """Say what is wrong, and what was probably meant; exit with status 2."""
        unknown = re.match(r"unrecognized arguments: (--[\w-]+)", message)
        if unknown and self.verb:
            from harness.spec.suggestion import suggestion

            options = self.verb.format_usage()
            meant = suggestion(unknown[1], re.findall(r"--[\w-]+", options))
            self.verb.error(f"{message};{meant}" if meant else message)
        if found := re.search(r"invalid choice: '(.*?)' \(choose from (.*)\)", message):
            from harness.spec.suggestion import suggestion

            meant = suggestion(found[1], re.findall(r"[\w-]+", found[2]))
            message = message.replace(" (", f";{meant} (", 1) if meant else message
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


class _Help(argparse.HelpFormatter):
    """Leaves the lines of the examples as they are."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        if text.startswith("examples:"):
            return text
        return super()._fill_text(text, width, indent)


class _Version(argparse.Action):
    """`--version`, which is looked up when it is asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        import harness

        print(f"titrate {harness.__version__}")
        parser.exit()


def parser(given: Sequence[str]) -> argparse.ArgumentParser:
    """The parser of these arguments: all verbs by name, and the arguments of the one they name."""
    whole = _Parser(prog="titrate", description="Dose-response measurements of language models.")
    whole.add_argument("--version", action=_Version, nargs=0, help="print the version")
    verbs = whole.add_subparsers(required=True, metavar="VERB")
    asked = next((each for each in given if not each.startswith("-")), None)
    for name, meaning in VERBS.items():
        verb = verbs.add_parser(
            name,
            help=meaning,
            description=f"{meaning}.",
            epilog="\n  ".join(["examples:", *EXAMPLES[name]]),
            formatter_class=_Help,
        )
        if name == asked:
            whole.verb = verb
            import_module(f"harness.cli.{name.replace('-', '_')}").declare(verb)
    return whole
