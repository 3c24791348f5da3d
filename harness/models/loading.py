"""From the `model` field of a spec to a configuration, or to weights and a tokenizer in memory.

What the field refers to is found by `reference.py`. Nothing of a model's own Python code is ever
executed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache, partial
from importlib.util import find_spec
from logging import LogRecord, getLogger
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import hf_hub_download, snapshot_download
from huggingface_hub.errors import (
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    StrictDataclassError,
)
from safetensors import SafetensorError
from transformers.utils import logging

from harness.errors import ModelError
from harness.files.hub import offline_unless_it_answers
from harness.models import zoo
from harness.models.content import content_hash
from harness.models.gguf_checkpoints import dequantised, described, quantisation
from harness.models.reference import UNREACHABLE, hub_file, is_local, locate, missing
from harness.models.written import WrittenConfig

# What configurations call the longest sequence: MPT says max_seq_len, Bloom seq_length.
_LENGTHS = ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length")
#: Half types are slow and coarse on most of them.
CPU_DTYPE = "float32"
#: A checkpoint's own code is never executed, and users are not asked to allow it.
_OWN_CODE: Mapping[str, bool] = {"trust_remote_code": False}
#: What files that are missing, broken or impossible raise inside transformers.
_FAILURES = (
    OSError,
    ValueError,
    RuntimeError,
    ArithmeticError,
    LookupError,
    TypeError,
    AttributeError,
    HfHubHTTPError,
    HFValidationError,
    SafetensorError,
    StrictDataclassError,
)


@dataclass(frozen=True)
class LoadedModel:
    """A model in evaluation mode on its device, its tokenizer, and the hash of its content."""

    reference: str
    model: Any
    tokenizer: Any
    content_hash: str
    quantisation: str = ""
    """How a GGUF file held the weights, which are dequantised."""

    @property
    def device(self) -> torch.device:
        """Where inputs go."""
        device: torch.device = next(self.model.parameters()).device
        return device

    @property
    def devices(self) -> list[torch.device]:
        """All devices that hold parts of the model."""
        places = {parameter.device for parameter in self.model.parameters()}
        return sorted(places - {torch.device("meta")}, key=str)

    @property
    def end_tokens(self) -> frozenset[int]:
        """Ids that end a sequence: the tokenizer's, and those of the generation configuration."""
        configured = self.model.generation_config.eos_token_id
        ids = [configured] if isinstance(configured, int) else list(configured or [])
        return frozenset(id_ for id_ in [*ids, self.tokenizer.eos_token_id] if id_ is not None)

    @property
    def context(self) -> int:
        """The longest sequence the model was made for, in tokens."""
        return context_of(self.model.config)


def context_of(config: Any) -> int:
    """The longest sequence that a configuration describes, in tokens.

    Raises `ModelError` for one without a length, which a cache could not be sized for.
    """
    text = config.get_text_config()
    found = [length for name in _LENGTHS if (length := getattr(text, name, None))]
    if not found:
        raise ModelError(
            f"model_type {config.model_type}: the configuration says no longest sequence "
            f"({', '.join(_LENGTHS)}); add max_position_embeddings to its config.json"
        )
    rotary = getattr(text, "rope_parameters", None) or {}
    # What a dynamic scale stretches is the length at which it begins.
    stretched = rotary.get("factor") or 1 if rotary.get("rope_type") == "dynamic" else 1
    return int(found[0] * stretched)


@cache
def load_config(reference: str) -> Any:
    """A model's configuration, without its weights; of a zoo member as it is written."""
    if reference.startswith("zoo/"):
        document = zoo.written_config(reference.removeprefix("zoo/"))
        return WrittenConfig(document, partial(whole_config, reference))
    return whole_config(reference)


@cache
def whole_config(reference: str) -> Any:
    """A model's configuration as transformers makes it, a zoo member's too."""
    from transformers import AutoConfig

    try:
        with _asking_once(reference):
            return AutoConfig.from_pretrained(descriptions(reference), **_OWN_CODE)
    except _FAILURES as error:
        raise _missing(reference, error) from error


def load_tokenizer(reference: str) -> Any:
    """A model's tokenizer, without its weights."""
    none = f"model {reference!r} has no tokenizer; its folder needs tokenizer.json"
    try:
        with _asking_once(reference):
            tokenizer = _tokenizer_class(reference).from_pretrained(
                descriptions(reference), **_OWN_CODE
            )
    except _FAILURES as error:
        if "instantiate the backend tokenizer" in str(error):
            raise ModelError(none) from error
        raise _missing(reference, error) from error
    # Some classes load without files, but then know only their special tokens.
    if len(tokenizer) <= len(tokenizer.all_special_ids):
        raise ModelError(none)
    if not zoo.ships(reference):
        tokenizer.name_or_path = reference  # messages name a GGUF file, not where it is unpacked
    return tokenizer


def _asking_once(reference: str) -> AbstractContextManager[None]:
    """While a model that is on the hub is read: where that does not answer, no client tries on."""
    return nullcontext() if is_local(reference) else offline_unless_it_answers()


def _tokenizer_class(reference: str) -> Any:
    """The class that loads a model's tokenizer.

    The zoo's are of the plain class that AutoTokenizer ends with for them; asking it would import
    all that makes models.
    """
    if zoo.ships(reference):
        from transformers import PreTrainedTokenizerFast

        return PreTrainedTokenizerFast
    from transformers import AutoTokenizer

    return AutoTokenizer


def local_files(reference: str) -> Path | None:
    """The folder, or the GGUF file, of a model; None for one that must be downloaded first."""
    try:
        return _files(reference, local_files_only=True)
    except (OSError, ValueError, HfHubHTTPError, HFValidationError):
        return None


def _files(reference: str, *, local_files_only: bool = False) -> Path:
    """The folder, or the GGUF file, of a model, downloaded if need be."""
    source = locate(reference)
    if isinstance(source, Path):
        return source
    if (file := hub_file(source)) is not None:
        return Path(hf_hub_download(*file, local_files_only=local_files_only))
    return Path(snapshot_download(source, local_files_only=local_files_only))


def descriptions(reference: str) -> Path | str:
    """What `from_pretrained` of configurations and of tokenizers takes."""
    source = locate(reference)
    if isinstance(source, str) and hub_file(source) is None:
        return source
    files = _files(reference)
    if files.is_dir():
        return files
    with _without_bars():
        return described(files)


@dataclass(frozen=True)
class Checkpoint:
    """A model's weights in a folder, the hash of their content, and how they were quantised."""

    folder: Path
    content_hash: str
    quantisation: str = ""
    """Of a GGUF file, whose weights are dequantised."""


def checkpoint(reference: str, dtype: str) -> Checkpoint:
    """The weights of a model, downloaded if need be; those of a GGUF file dequantised to `dtype`.

    Raises `ModelError`.
    """
    try:
        files = _files(reference)
        if files.is_dir():
            return Checkpoint(files, content_hash(files))
        with _without_bars(), _report_unless_refused():
            folder = dequantised(files, dtype)
        return Checkpoint(folder, content_hash(files), quantisation(files))
    except _FAILURES as error:
        raise _missing(reference, error) from error


def load(
    reference: str, *, dtype: str = "auto", device: str = "auto", device_map: str | None = None
) -> LoadedModel:
    """Load weights, quantised ones as transformers does, and the tokenizer.

    `dtype` auto is float32 on a CPU, where half types are slow and coarse, and the checkpoint's own
    type elsewhere. `device` auto prefers CUDA, then MPS, then the CPU; it does not matter when
    `device_map` auto spreads the model's layers over all devices, which accelerate does.
    """
    if device_map is not None and find_spec("accelerate") is None:
        raise ModelError("engine.device_map needs accelerate; pip install 'pytest-titrate[large]'")
    place = pick_device(device)
    if dtype == "auto" and place.type == "cpu":
        dtype = CPU_DTYPE
    kind: Any = getattr(torch, dtype) if dtype != "auto" else "auto"
    # Imported here, because it brings generation, compilation and distribution, for seconds.
    from transformers import AutoModelForCausalLM

    files = checkpoint(reference, dtype)
    try:
        tokenizer = load_tokenizer(reference)
        with _without_bars(), _report_unless_refused():
            model, found = AutoModelForCausalLM.from_pretrained(
                files.folder,
                dtype=kind,
                device_map=device_map,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # told below, by name
                **_OWN_CODE,
            )
            _check_complete(reference, found)
    except ImportError as error:
        # A quantised checkpoint whose library is not installed.
        raise ModelError(f"model {reference!r} cannot be loaded: {_first_line(error)}") from error
    except _FAILURES as error:
        raise _missing(reference, error) from error
    if getattr(model.config.get_text_config(), "attn_logit_softcapping", None):
        # Gemma 2 caps its attention's logits, which transformers' sdpa leaves out without a word.
        model.set_attn_implementation("eager")
    # Where quantised weights and spread layers are has been decided; they may not be moved.
    if device_map is None and not getattr(model, "is_quantized", False):
        model = model.to(place)
    return LoadedModel(reference, model.eval(), tokenizer, files.content_hash, files.quantisation)


def _check_complete(reference: str, found: Mapping[str, Any]) -> None:
    """Raise for weights that are missing or of another size: they are random numbers now."""
    if found["mismatched_keys"]:
        name, held, described = min(found["mismatched_keys"])
        raise ModelError(
            f"model {reference!r}: its checkpoint holds {name} as {_by(held)}, but its config.json "
            f"describes {_by(described)}; correct config.json, such as the number of experts"
        )
    if found["missing_keys"]:
        raise ModelError(
            f"model {reference!r} lacks weights: its checkpoint does not hold "
            f"{min(found['missing_keys'])}; use a complete checkpoint"
        )


def _by(shape: Iterable[int]) -> str:
    return " x ".join(map(str, shape))


@contextmanager
def _report_unless_refused() -> Iterator[None]:
    """Let what transformers says of the weights through, but not beside an error of our own."""
    held: list[LogRecord] = []
    logger = getLogger("transformers.modeling_utils")

    def hold(record: LogRecord) -> bool:
        held.append(record)
        return False

    logger.addFilter(hold)
    try:
        yield
    except BaseException:
        held.clear()
        raise
    finally:
        logger.removeFilter(hold)
        for record in held:
            logger.handle(record)


@contextmanager
def _without_bars() -> Iterator[None]:
    """Let transformers draw no bars: our callers print a line of their own about loading.

    Its warnings are logged and come through, and a download keeps the hub's bars.
    """

    def disabled(bar: Callable[..., Any], args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        return bar(*args, **{**options, "disable": True})

    before = logging.set_tqdm_hook(disabled)
    try:
        yield
    finally:
        logging.set_tqdm_hook(before)


def pick_device(device: str) -> torch.device:
    """The torch device of a spec's `engine.device`."""
    if device != "auto":
        try:
            place = torch.device(device)
        except RuntimeError as error:
            raise ModelError(
                f"engine.device {device!r} is not a torch device; use auto, cpu, cuda, cuda:1 or "
                "mps"
            ) from error
        try:
            torch.empty(0, device=place)
        except (RuntimeError, AssertionError, NotImplementedError) as error:
            raise ModelError(
                f"engine.device {device!r} cannot be used on this machine: {_first_line(error)}; "
                "use auto or cpu"
            ) from error
        return place
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def _missing(reference: str, error: Exception) -> ModelError:
    if isinstance(error, LocalEntryNotFoundError) or "internet connection" in str(error):
        return missing(reference, UNREACHABLE)
    if "trust_remote_code" in str(error):
        return missing(reference, "it needs code of its own, which is never executed")
    return missing(reference, _first_line(error))


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).strip().splitlines()] or [type(error).__name__]
    # "Validation error for field 'hidden_size':" needs the line after it.
    return " ".join(lines[: 2 if lines[0].endswith(":") else 1])
