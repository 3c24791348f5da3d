"""Who answers: what a server says of its model before it is asked anything, and what is not known.

A server tells a model's name, at best a version and a folder, and never its weights: what it
changes behind a name and an address is not seen. All that it does tell is in the fingerprint.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from pydantic import TypeAdapter, ValidationError
from typing_extensions import TypedDict  # pydantic wants it before Python 3.12

from harness.engines.served.client import Client
from harness.errors import FieldError, ModelError
from harness.spec.experiment import EngineSettings

#: Settings of an engine that decide how fast and how often is asked, and not what.
_IDLE = {"api_key_env", "concurrency", "timeout", "retries", "token_limit"}
_UNTOLD = "not told"
#: Models of a list that a message names.
_SHOWN = 5
#: What a server's list says of a model, besides what differs from start to start.
_TOLD = ("root", "owned_by", "max_model_len")


class _Listed(TypedDict):
    id: str


class _List(TypedDict):
    data: list[_Listed]


_LIST = TypeAdapter(_List)


@dataclass(frozen=True)
class Identity:
    """What a server told of a model; `context` is the longest sequence that it takes, if known."""

    told: Mapping[str, str]
    context: int | None


def served_name(model: str, settings: EngineSettings) -> str:
    """What the server calls a model."""
    return settings.served_model or model


def inputs(model: str, settings: EngineSettings) -> dict[str, Any]:
    """What decides a fingerprint, as far as it is known without asking."""
    return {
        "model": model,
        "settings": settings.model_dump(mode="json", exclude=_IDLE),
        "versions": {name: version(name) for name in ("pytest-titrate", "openai", "tokenizers")},
    }


def stands(settings: EngineSettings) -> tuple[str, str | None]:
    """The one model that a server serves: whose files it has, and its name there if another.

    A server may call a model by a name of its own; vLLM's tells beside it what it has loaded
    (`root`), and that of transformers writes a revision behind it (`NAME@main`).

    Raises:
        FieldError: no server answers, it has no list of models, or one of none or several.
    """
    client = Client(settings)
    try:
        entries = _entries(client, settings)
    except ModelError as error:
        raise FieldError("model", str(error).removeprefix("engine.base_url ")) from None
    finally:
        client.close()
    url = settings.base_url
    if entries is None:
        raise FieldError("model", f"{url} does not say what it serves; write {url}#NAME")
    if len(entries) != 1:
        names = [*list(entries)[:_SHOWN], *(["..."] if len(entries) > _SHOWN else [])]
        one = next(iter(entries), "NAME")
        raise FieldError(
            "model", f"{url} serves {', '.join(names) or 'nothing'}; say which one, {url}#{one}"
        )
    ((name, entry),) = entries.items()
    reference, root = name.partition("@")[0], entry.get("root")
    if "/" not in reference and isinstance(root, str) and "/" in root:
        reference = root
    return reference, None if reference == name else name


def identify(client: Client, model: str, settings: EngineSettings) -> Identity:
    """Ask a server for its models and its version.

    Raises:
        ModelError: no server answers, it refuses the key, or it serves other models.
    """
    name = served_name(model, settings)
    entry = _entry(client, name, settings)
    release = _version(client, str(settings.base_url))
    told = {key: str(entry[key]) for key in _TOLD if entry.get(key) is not None}
    longest = entry.get("max_model_len")
    return Identity(
        {
            "engine": "served",
            "server": str(settings.base_url),
            "served model": name,
            "road": settings.road,
            "server version": release or _UNTOLD,
            "server's model": ", ".join(f"{key} {value}" for key, value in told.items()) or _UNTOLD,
            "weights": "not known, the server names them",
            "dtype": _UNTOLD,
        },
        longest if isinstance(longest, int) else None,
    )


def _entry(client: Client, name: str, settings: EngineSettings) -> Mapping[str, Any]:
    """What the server's list says of the model; empty where it has no list."""
    entries = _entries(client, settings)
    if entries is None:
        return {}
    if name not in entries:
        served = ", ".join(list(entries)[:_SHOWN]) or "none"
        raise ModelError(
            f"engine.base_url {settings.base_url}: the server does not serve {name}, but {served}; "
            "give its name there as engine.served_model"
        )
    return entries[name]


def _entries(client: Client, settings: EngineSettings) -> Mapping[str, Mapping[str, Any]] | None:
    """What the server's list says of its models, by their names; None where it has no list."""
    import openai

    where = f"engine.base_url {settings.base_url}"
    try:
        document = client.get("/models")
    except openai.APIStatusError as error:
        if error.status_code in (401, 403):
            key = settings.api_key_env
            remedy = f"correct the key in {key}" if key else "name its key by engine.api_key_env"
            raise ModelError(f"{where}: {client.described(error)}; {remedy}") from None
        return None
    except openai.APIConnectionError as error:
        raise ModelError(
            f"{where}: no server answers there ({client.described(error)}); start it, or correct "
            "engine.base_url"
        ) from None
    except ValueError:
        return None
    try:
        _LIST.validate_python(document)
    except ValidationError:
        return None
    return {entry["id"]: entry for entry in document["data"]}


def _version(client: Client, url: str) -> str | None:
    """The version that vLLM's server tells beside its API; other servers have nothing there."""
    from openai import OpenAIError

    root = (
        url.rstrip("/").rpartition("/")[0] if url.rstrip("/").endswith("/v1") else url.rstrip("/")
    )
    try:
        document = client.get(f"{root}/version")
    except (OpenAIError, ValueError):
        return None
    release = document.get("version") if isinstance(document, dict) else None
    return str(release) if release is not None else None
