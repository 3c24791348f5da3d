"""What the `model` field of a spec refers to, found out without importing torch.

A reference is a zoo member (`zoo/moe`), a local folder or GGUF file (a path that starts with `.`,
`/` or `~`), a Hugging Face id, or a GGUF file in the repository of one (`id:file.gguf`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from harness.errors import FieldError, ModelError
from harness.files import hub
from harness.files.given import is_file, is_folder
from harness.models import zoo
from harness.models.gguf_checkpoints import SUFFIX, check_gguf
from harness.spec import Case, Experiment, SpecSource


def is_local(reference: str) -> bool:
    """Whether a reference names files that are already here: a zoo member or a path."""
    return reference.startswith(("zoo/", ".", "/", "~"))


def locate(reference: str) -> Path | str:
    """The folder or GGUF file of a local reference (which must exist), or the id as it is."""
    if reference.startswith("zoo/"):
        return zoo.resolve(reference.removeprefix("zoo/"))
    if reference in (*zoo.names(), *zoo.packaged()):
        raise ModelError(f"model {reference!r} has no owner; did you mean zoo/{reference}?")
    if not is_local(reference):
        if "/" not in reference and is_file(Path(reference, "config.json")):
            raise ModelError(f"model {reference!r} has no owner; did you mean ./{reference}?")
        return reference
    path = Path(reference).expanduser()
    if path.suffix == SUFFIX and not is_folder(path):
        if not is_file(path):
            raise ModelError(f"model file {reference} does not exist; give a GGUF file that does")
        return path
    if is_file(path / "config.json"):
        return path
    what = "holds no config.json" if is_folder(path) else "does not exist"
    found = sorted(path.glob(f"*{SUFFIX}")) if is_folder(path) else []
    if len(found) == 1:
        return found[0]
    if found:
        raise ModelError(
            f"model folder {reference} holds {len(found)} GGUF files; name one, such as {found[0]}"
        )
    raise ModelError(
        f"model folder {reference} {what}; give a Hugging Face checkpoint or a GGUF file"
    )


def hub_file(reference: str) -> tuple[str, str] | None:
    """Repository and file of a GGUF file on the hub, `id:file.gguf`; None for other references."""
    repository, colon, file = reference.partition(":")
    if is_local(reference) or not colon or not file.endswith(SUFFIX):
        return None
    return repository, file


def check_reference(reference: str) -> None:
    """Raise `ModelError` for a model that is not there, as far as that is known without loading.

    A Hugging Face id that is not in the local cache is an error only where the hub may not be
    asked or does not answer; whether it exists is found out when its configuration is read.
    """
    source = locate(reference)
    if isinstance(source, Path) and source.suffix == SUFFIX:
        check_gguf(source)
        return
    if isinstance(source, Path):
        try:
            readable = isinstance(json.loads((source / "config.json").read_text("utf-8")), dict)
            why = "is not a JSON object"
        except (OSError, ValueError) as error:
            readable, why = False, f"cannot be read as JSON: {error}"
        if not readable:
            raise missing(reference, f"its config.json {why}")
        return
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    repository, file = hub_file(source) or (source, "config.json")
    try:
        cached = try_to_load_from_cache(repository, file)
    except HFValidationError as error:
        raise missing(reference, next(iter(str(error).splitlines()))) from error
    if not isinstance(cached, str) and not hub.answers():
        raise missing(reference, UNREACHABLE)


def check_models(cases: Iterable[Case]) -> None:
    """Raise `SpecError`, with its line, for the first case whose model is not there."""
    models = {
        (case.experiment.model, case.experiment.reference): case for case in reversed([*cases])
    }
    for case in models.values():
        check_model(case.experiment, case.source)


def check_model(experiment: Experiment, source: SpecSource) -> None:
    """Raise `SpecError`, with its line, for an experiment whose model is not there."""
    for field, model in (("model", experiment.model), ("reference", experiment.reference)):
        try:
            if model is not None:
                check_reference(model)
        except ModelError as error:
            raise source.locate(FieldError(field, str(error))) from error


UNREACHABLE = "it is not in the local cache and the Hugging Face hub cannot be reached"


def missing(reference: str, why: str) -> ModelError:
    """The error of a model that cannot be loaded, with what to give instead."""
    members = ", ".join(f"zoo/{name}" for name in (*zoo.names(), *zoo.packaged()))
    return ModelError(
        f"model {reference!r} cannot be loaded: {why}; use a zoo member ({members}), a folder or "
        "GGUF file (./x) or a Hugging Face id"
    )
