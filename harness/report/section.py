"""A section that an experiment has on the page: a picture, with its numbers as a table below it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Section:
    """One section.

    Args:
        title: Its heading.
        about: A sentence or two on what is shown.
        picture: A figure, as PNG.
        header: Of the table.
        rows: Of the table, as text.
    """

    title: str
    about: str
    picture: bytes
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
