"""GGUF files as checkpoints: unpacked by transformers once, and kept by what the file holds.

    .titrate/models/KEY/          configuration, tokenizer with its chat template, and origin.json
    .titrate/models/KEY-float32/  all of that, and the weights, dequantised to that type

KEY is the file's content and the versions of what unpacks it. A folder is there whole or not at
all: two processes that need the same one make it once. Where nothing may be written beside the
store, folders go to the user's cache, and where there is none, to one that lasts as long as this
process.
"""

from __future__ import annotations

import atexit
import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import redirect_stderr
from functools import cache, partial
from importlib.metadata import version
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from typing import Any

from filelock import FileLock

from harness.errors import ModelError
from harness.files.atomic import check_writable, open_regular
from harness.models.content import content_hash

SUFFIX = ".gguf"
_MAGIC = b"GGUF"
_PACKAGES = ("gguf", "accelerate")
_ORIGIN = "origin.json"
#: Changed whenever a folder is filled in another way.
_FORMAT = 2
#: Tokens after which llama.cpp ends a turn; transformers reads the first alone.
_ENDS = ("eos", "eot", "eom")
_FLOATS = {"BF16": "bfloat16", "F16": "float16", "F32": "float32"}


def check_gguf(file: Path) -> None:
    """Raise `ModelError` for what is no GGUF file, or cannot be read here; imports no torch."""
    missing = [name for name in _PACKAGES if find_spec(name) is None]
    if missing:
        raise ModelError(
            f"{file}: reading a GGUF file needs {' and '.join(missing)}; "
            "pip install 'pytest-titrate[gguf]'"
        )
    try:
        with open_regular(file) as stream:
            begins = stream.read(len(_MAGIC))
    except OSError as error:
        raise ModelError(f"{file}: cannot be read: {error.strerror or error}") from error
    if begins != _MAGIC:
        raise ModelError(
            f"{file}: is not a GGUF file, it begins with {begins!r}; download it again"
        )


def described(file: Path) -> Path:
    """The folder of the configuration and tokenizer that a GGUF file holds, made if need be.

    Raises `ModelError` for a file that transformers cannot read.
    """
    check_gguf(file)
    return _kept(_key(file), partial(_describe, file))


def dequantised(file: Path, dtype: str = "auto") -> Path:
    """The folder of a whole checkpoint, its weights dequantised to `dtype`, made if need be.

    `auto` is the type of a file that has one (F32, F16, BF16), and bfloat16 for quantised ones.
    """
    origin = _origin(described(file))
    name = origin["dtype"] if dtype == "auto" else dtype
    return _kept(f"{_key(file)}-{name}", partial(_dequantise, file, name))


def quantisation(file: Path) -> str:
    """How a file holds its weights: `Q4_1 210, F32 61, Q8_0 1 (GGUF)`, types and their tensors."""
    return str(_origin(described(file))["quantisation"])


def _key(file: Path) -> str:
    content = (content_hash(file), version("transformers"), str(_FORMAT))
    return hashlib.sha256("\0".join(content).encode()).hexdigest()[:32]


def _origin(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / _ORIGIN).read_text("utf-8"))
    return content


# Making -------------------------------------------------------------------------------------------


def _describe(file: Path, folder: Path) -> None:
    from transformers import AutoConfig, AutoTokenizer, GenerationConfig
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    fields, types = _read(file)
    given: dict[str, Any] = {"gguf_file": file.name, "trust_remote_code": False}
    config = AutoConfig.from_pretrained(file.parent, **given)
    inner = fields.get(f"{fields['general.architecture']}.expert_feed_forward_length")
    if inner is not None and hasattr(config, "moe_intermediate_size"):
        # transformers leaves it at the default, which is that of one model.
        config.moe_intermediate_size = int(inner)
    if not config.architectures and config.model_type in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        # Which transformers leaves out, and vLLM goes by.
        config.architectures = [MODEL_FOR_CAUSAL_LM_MAPPING_NAMES[config.model_type]]
    if "tokenizer.ggml.tokens" not in fields:
        raise ModelError(f"{file}: has no tokenizer; use a file that llama.cpp's converter wrote")
    tokenizer = AutoTokenizer.from_pretrained(file.parent, **given)
    config.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    generation = GenerationConfig.from_model_config(config)
    ends = [fields.get(f"tokenizer.ggml.{name}_token_id") for name in _ENDS]
    generation.eos_token_id = [*dict.fromkeys(int(end) for end in ends if end is not None)] or None
    generation.save_pretrained(folder)
    floats = [name for name in _FLOATS if name in types]
    counted = ", ".join(f"{name} {count}" for name, count in types.most_common())
    origin = {
        "file": str(file.absolute()),
        "quantisation": f"{counted} (GGUF)",
        "dtype": _FLOATS[floats[0]] if set(types) <= set(_FLOATS) else "bfloat16",
    }
    (folder / _ORIGIN).write_text(json.dumps(origin, indent=2), "utf-8")


def _read(file: Path) -> tuple[dict[str, Any], Counter[str]]:
    """A file's fields, lists left out (None), and how many tensors it has of each type."""
    import gguf

    try:
        reader = gguf.GGUFReader(file)
        fields = {
            name: None if field.types[0] is gguf.GGUFValueType.ARRAY else field.contents()
            for name, field in reader.fields.items()
        }
    except (ValueError, LookupError, OverflowError) as error:
        raise ModelError(
            f"{file}: is cut off or damaged at {file.stat().st_size:,} bytes "
            f"({next(iter(str(error).splitlines()), type(error).__name__)}); download it again"
        ) from error
    parts = fields.get("split.count") or 1
    if parts > 1:
        raise ModelError(
            f"{file}: is one of {parts} parts of a model; join them with llama-gguf-split --merge"
        )
    return fields, Counter(tensor.tensor_type.name for tensor in reader.tensors)


def _dequantise(file: Path, dtype: str, folder: Path) -> None:
    import torch
    import transformers
    from transformers import AutoConfig, AutoModelForCausalLM, GenerationConfig

    shutil.copytree(described(file), folder, dirs_exist_ok=True)
    # Of transformers' versions, those that can leave weights packed are told not to.
    packed = getattr(transformers, "GgufConfig", None)
    given = {} if packed is None else {"quantization_config": packed(dequantize=True)}
    with redirect_stderr(StringIO()):  # a bar, which the switch for bars does not reach
        model, found = AutoModelForCausalLM.from_pretrained(
            file.parent,
            gguf_file=file.name,
            config=AutoConfig.from_pretrained(folder),
            dtype=getattr(torch, dtype),
            output_loading_info=True,
            trust_remote_code=False,
            **given,
        )
    if found["missing_keys"]:
        raise ModelError(
            f"{file}: does not hold {min(found['missing_keys'])}; use a complete model"
        )
    # An ordinary checkpoint from here on.
    model.hf_quantizer = None
    vars(model.config).pop("quantization_config", None)
    model.generation_config = GenerationConfig.from_pretrained(folder)
    model.save_pretrained(folder)


# Keeping ------------------------------------------------------------------------------------------


def _kept(name: str, make: Callable[[Path], None]) -> Path:
    """The folder of this name, from where one lies or made in the first place that takes it."""
    places = [Path(".titrate", "models").absolute(), _cache()]
    for place in places:
        if (place / name).is_dir():
            return place / name
    for place in places:
        try:
            check_writable(place)
        except OSError:
            continue
        return _made(place, name, make)
    return _made(_temporary(), name, make)


def _made(place: Path, name: str, make: Callable[[Path], None]) -> Path:
    """Make a folder, unless another process has made it meanwhile."""
    place.mkdir(parents=True, exist_ok=True)
    (place / ".gitignore").write_text("*\n")
    folder, part = place / name, place / f".{name}.part"
    with FileLock(place / f".{name}.lock"):
        if folder.is_dir():
            return folder
        shutil.rmtree(part, ignore_errors=True)  # left by a process that died
        part.mkdir()
        try:
            make(part)
            for file in part.iterdir():
                with file.open("rb+") as written:
                    os.fsync(written.fileno())
            part.rename(folder)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise ModelError(
                    f"{place}: no space is left for the weights of a GGUF file; free some"
                ) from error
            raise
        finally:
            shutil.rmtree(part, ignore_errors=True)
    return folder


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base, "titrate", "models")


@cache
def _temporary() -> Path:
    """A folder that lasts as long as this process."""
    folder = tempfile.TemporaryDirectory(prefix="titrate-models-")
    atexit.register(folder.cleanup)
    return Path(folder.name)
