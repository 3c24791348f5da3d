"""Where an adapter of a spec lies: a folder here, or a repository of the Hugging Face hub."""

from __future__ import annotations

from pathlib import Path

from harness.errors import ModelError
from harness.files.hub import offline_unless_it_answers

_FILES = ("adapter_config.json", "adapter_model.safetensors")


def adapter_folder(reference: str) -> Path:
    """The folder of an adapter's files, downloaded if need be.

    Raises ModelError for a folder that is not there, and for an id that cannot be had.
    """
    if reference.startswith((".", "/", "~")):
        folder = Path(reference).expanduser()
        if not folder.is_dir():
            raise ModelError(f"adapter {reference} is no folder; give one that PEFT wrote")
        return folder
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        with offline_unless_it_answers():
            return Path(snapshot_download(reference, allow_patterns=list(_FILES)))
    except LocalEntryNotFoundError as error:
        raise ModelError(
            f"adapter {reference} is not in the local cache and the Hugging Face hub cannot be "
            "reached; give a folder (./x)"
        ) from error
    except (HfHubHTTPError, HFValidationError, OSError) as error:
        why = " ".join(str(error).split())[:200]
        raise ModelError(
            f"adapter {reference} cannot be had: {why}; give a folder (./x)"
        ) from error
