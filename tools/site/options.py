"""The page of the options of a run: one table, in the three ways in which callers write them."""

from __future__ import annotations

from harness.options import RUN, as_argument, as_pytest, as_titrate


def page() -> str:
    """A row for each option."""
    told = [
        "# Options of a run",
        "",
        "The same options, as pytest, `titrate run` and `harness.run` take them.",
        "",
        "| pytest | titrate run | harness.run | what it does |",
        "| --- | --- | --- | --- |",
    ]
    for option in RUN:
        ways = [f"`{way(option.name, option.metavar)}`" for way in (as_pytest, as_titrate)]
        ways.append(f"`{as_argument(option.name, option.metavar)}`" if option.python else "")
        told.append("| " + " | ".join([*ways, option.help.replace("|", "\\|")]) + " |")
    return "\n".join(told)
