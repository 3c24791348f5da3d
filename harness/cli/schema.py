"""`titrate schema experiment|report`: the JSON Schema of spec files or of reports."""

from __future__ import annotations

import argparse
import json


def declare(parser: argparse.ArgumentParser) -> None:
    """State the arguments of `titrate schema`."""
    parser.add_argument("which", choices=["experiment", "report"])
    parser.set_defaults(run=run)


def run(parsed: argparse.Namespace) -> int:
    """Print the schema."""
    if parsed.which == "experiment":
        from harness.spec import experiment_schema

        print(json.dumps(experiment_schema(), indent=2))
    else:
        from harness.report.schema import json_schema

        print(json_schema(), end="")
    return 0
