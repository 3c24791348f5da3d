"""Records of a Hugging Face data set: by its id on the hub, or from a folder that holds one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from harness.errors import TaskError
from harness.files.hub import offline_unless_it_answers


def hub_records(
    name: str, config: str | None, split: str | None, remedy: str = ""
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every record of a split, with its place: `openai/gsm8k test row 3`.

    Args:
        name: An id on the hub; or a folder, absolute, of data files or of `save_to_disk`.
        config: One of its configurations; None for the only one, or its default.
        split: One of its splits; None for the only one.
        remedy: What else the user can do where it cannot be loaded, such as `, or give a file`.

    Raises:
        TaskError: the package `datasets` or the data set is not there, or a split has to be named.
    """
    try:
        import datasets  # an optional extra, and slow to import
    except ImportError as error:
        raise TaskError(
            f"{name} needs the package `datasets`; pip install 'pytest-titrate[hub]'{remedy}"
        ) from error
    saved = any((Path(name) / file).is_file() for file in ("state.json", "dataset_dict.json"))
    try:
        if saved:
            found: Any = datasets.load_from_disk(name)
        elif Path(name).is_absolute():
            found = datasets.load_dataset(name, config)
        else:
            with offline_unless_it_answers():
                found = datasets.load_dataset(name, config)
    except Exception as error:  # the hub's client raises a different type for every trouble
        first = next(iter(str(error).splitlines()), type(error).__name__)
        where = "" if Path(name).is_absolute() else "; check the id and the network"
        raise TaskError(f"{name} cannot be loaded: {first}{where}{remedy}") from error
    shown, rows = _split(name, found, split)
    for number, row in enumerate(rows, start=1):
        yield f"{shown} row {number}", dict(row)


def _split(name: str, found: Any, split: str | None) -> tuple[str, Iterable[dict[str, Any]]]:
    """The rows of a split, and what it is called in messages."""
    if not isinstance(found, dict):  # a single split that was saved
        own = str(found.split) if found.split else None
        if split not in (None, own):
            raise TaskError(f"{name} has no split {split!r}; it is one, leave task.split out")
        return name, found
    names = [str(each) for each in found]
    if split is None and len(names) == 1:
        (split,) = names
    if split not in names:
        wrong = "has several splits" if split is None else f"has no split {split!r}"
        raise TaskError(f"{name} {wrong}; set task.split to one of {', '.join(names)}")
    return f"{name} {split}", found[split]
