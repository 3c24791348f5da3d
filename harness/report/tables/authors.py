"""Answers coloured by who wrote each token: the model itself, or its oracle."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from rich.text import Text

from harness.interventions.policy import AUTHOR

#: Two consultations in a row are told apart.
_STYLES = ("bold cyan", "bold magenta")
#: How the oracle's words are marked where there are no colours.
_MARKS = ("\u00ab", "\u00bb")


def by_author(pieces: Sequence[str], authors: Sequence[float], *, colour: bool) -> Text:
    """An answer of these tokens' texts; `authors` are 0 for the model's own, n for its n-th help.

    Without colour the oracle's words stand between guillemets.
    """
    found = Text()
    at = 0
    for author, run in groupby(authors):
        length = len(list(run))
        said = "".join(pieces[at : at + length])
        at += length
        if author and not colour:
            said = f"{_MARKS[0]}{said}{_MARKS[1]}"
        found.append(said, _STYLES[int(author) % 2] if author and colour else "")
    return found


def answers_by_author(records: Iterator[Mapping[str, Any]], *, colour: bool) -> Iterator[Text]:
    """The answers of samples.jsonl that have authors, each below its case and sample."""
    for record in records:
        authors = (record.get("traces") or {}).get(AUTHOR)
        if authors and len(record.get("pieces") or ()) == len(authors):
            verdict = {True: "right", False: "wrong", None: ""}[record["correct"]]
            heading = f"{record['case']} {record['sample']} {verdict}".rstrip()
            answer = by_author(record["pieces"], authors, colour=colour)
            yield Text.assemble((heading, "dim" if colour else ""), "\n", answer, "\n")
