"""`pair_prompts.json` and `pair_tokens.json`, in and out.

    pair_prompts.json  {"humaneval_0": {"assisted": text, "agentic": text}, ...}
    pair_tokens.json   {"humaneval_0": {"agentic_ids": [...], ...}, ...}, fields of `AlignedPair`

An entry of the first may also hold `"shared_request": false` (`pair.py`). Beside the second may
lie `pair_tokens.npz`, the same in binary form, which is read instead while it holds the hash of the
JSON file.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterable, Mapping
from hashlib import sha256
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from harness.errors import TaskError
from harness.files.atomic import replace_file
from harness.files.given import exists
from harness.tasks.pairs.aligned import AlignedPair
from harness.tasks.pairs.pair import TextPair
from harness.tasks.pairs.sources import read_document

_PROMPTS_FORM = '{"humaneval_0": {"assisted": "...", "agentic": "..."}, ...}'
_TOKENS_FORM = "the pair_tokens.json of `titrate pairs align`"
_ARRAYS = ("agentic_ids", "assisted_ids", "assisted_aligned_ids", "assisted_aligned_attention_mask")


def write_prompts(pairs: Iterable[TextPair], path: Path) -> None:
    """Write pairs as `pair_prompts.json`."""
    document: dict[str, dict[str, Any]] = {}
    for pair in pairs:
        document[pair.key] = {"assisted": pair.assisted, "agentic": pair.agentic}
        if not pair.shared_request:
            document[pair.key]["shared_request"] = False
    _write(path, json.dumps(document, ensure_ascii=False, indent=2) + "\n")


def read_prompts(path: Path | str) -> list[TextPair]:
    """The pairs of a `pair_prompts.json`, in its order.

    Raises:
        TaskError: the file is not one; nothing of it is used then.
    """
    document = read_document(path, _PROMPTS_FORM)
    if not isinstance(document, dict) or not document:
        raise TaskError(f"{path}: is not an object of pairs; expected {_PROMPTS_FORM}")
    return [_pair(path, key, entry) for key, entry in document.items()]


def write_tokens(pairs: Mapping[str, AlignedPair], path: Path, *, cache: bool = False) -> None:
    """Write aligned pairs as `pair_tokens.json`, and in binary form beside it if asked for."""
    document = {key: pair.model_dump(mode="json") for key, pair in pairs.items()}
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":")) + "\n"
    _write(path, text)
    if cache:
        rest = json.dumps(
            {key: {n: v for n, v in e.items() if n not in _ARRAYS} for key, e in document.items()}
        )
        arrays: dict[str, Any] = {
            name: np.fromiter(chain(*(getattr(pair, name) for pair in pairs.values())), np.int32)
            for name in _ARRAYS
        }
        arrays["source"] = np.array(sha256(text.encode()).hexdigest())
        arrays["rest"] = np.frombuffer(rest.encode(), np.uint8)
        with replace_file(_cache(path)) as part, part.open("wb") as stream:
            np.savez(stream, **arrays)


def read_tokens(path: Path | str) -> dict[str, AlignedPair]:
    """The aligned pairs of a `pair_tokens.json`, in its order; from its cache where that is valid.

    Raises:
        TaskError: the file is not one, or an entry breaks an identity of aligned pairs.
    """
    file = Path(path).expanduser()
    document = _cached(file)
    if document is None:
        document = read_document(file, _TOKENS_FORM)
    if not isinstance(document, dict) or not document:
        raise TaskError(f"{path}: is not an object of aligned pairs; expected {_TOKENS_FORM}")
    return {key: _aligned(path, key, entry) for key, entry in document.items()}


def _pair(path: Path | str, key: str, entry: Any) -> TextPair:
    texts = entry if isinstance(entry, dict) else {}
    for side in ("assisted", "agentic"):
        if not isinstance(texts.get(side), str):
            raise TaskError(f"{path}: {key} has no {side} text; expected {_PROMPTS_FORM}")
    shared = texts.get("shared_request", True)
    if not isinstance(shared, bool):
        raise TaskError(f"{path}: {key} has shared_request {shared!r}; use true or false")
    return TextPair(key, texts["assisted"], texts["agentic"], shared)


def _aligned(path: Path | str, key: str, entry: Any) -> AlignedPair:
    try:
        return AlignedPair.model_validate(entry)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join([key, *(str(part) for part in first["loc"])])
        raise TaskError(f"{path}: {where}: {first['msg']}; expected {_TOKENS_FORM}") from error


def _cache(path: Path) -> Path:
    return path.with_suffix(".npz")


def _cached(path: Path) -> dict[str, Any] | None:
    """The content of a cache that was made from this very file; None without one."""
    cache = _cache(path)
    if not exists(cache):
        return None
    try:
        with np.load(cache, allow_pickle=False) as arrays:
            if str(arrays["source"]) != sha256(path.read_bytes()).hexdigest():
                return None
            document: dict[str, Any] = json.loads(arrays["rest"].tobytes())
            values = {name: arrays[name] for name in _ARRAYS}
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return None
    at = dict.fromkeys(_ARRAYS, 0)
    for entry in document.values():
        for name in _ARRAYS:
            length = entry["assisted_length" if name == "assisted_ids" else "agentic_length"]
            entry[name] = values[name][at[name] : at[name] + length].tolist()
            at[name] += length
    return document


def _write(path: Path, text: str) -> None:
    with replace_file(path) as part:
        part.write_text(text, encoding="utf-8")
