"""Servers in a model's place: `model: http://HOST/v1#NAME`, or without a name, `http://HOST/v1`.

An address is taken apart as a section is read. Which model stands at one without a name is up to
its server, which is asked for it once a spec is whole, so that all that follows knows names alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel

from harness.errors import FieldError
from harness.registry import loaded
from harness.spec.engine_kind import engine_named, takers

S = TypeVar("S", bound=BaseModel)

_ADDRESSES = ("http://", "https://")


def is_address(model: Any) -> bool:
    """Whether a reference is a server's address.

    >>> is_address("http://127.0.0.1:8001/v1"), is_address("zoo/oracle")
    (True, False)
    """
    return isinstance(model, str) and model.startswith(_ADDRESSES)


def addressed(section: Any) -> Any:
    """A section whose `model` may be an address, with its `engine` asking the server there.

    Where the address names a model, `model` is that name. An address in a model's place goes before
    one in `engine`, and settings of an engine that asks no server are left for its own refusal.
    """
    if not isinstance(section, Mapping) or not is_address(section.get("model")):
        return section
    address, _, name = section["model"].partition("#")
    given = section.get("engine") or {}
    if isinstance(given, BaseModel):
        given = given.model_dump(exclude_unset=True)
    asking = takers("base_url")
    if not isinstance(given, Mapping) or given.get("name", asking[0]) not in asking:
        return section
    engine = {"name": asking[0], **given, "base_url": address}
    if given.get("base_url", address) != address:
        engine.pop("served_model", None)
    return {**section, "model": name or address, "engine": engine}


def answered(experiment: S) -> S:
    """The experiment with the models that stand at its addresses, whose servers are asked now.

    Raises:
        FieldError: no server answers, or it serves none or several; or no server is asked.
    """
    found = _answered(experiment, "")
    settings = getattr(found, "intervention", None)
    if settings is not None:
        intervention = _answered(settings, "intervention.")
        if intervention is not settings:
            found = found.model_copy(update={"intervention": intervention})
    return found


def _answered(section: S, place: str) -> S:
    model, engine = getattr(section, "model", None), getattr(section, "engine", None)
    if not is_address(model):
        return section
    kind = None if engine is None else engine_named(engine.name)
    if engine is None or kind is None or kind.stands is None:
        name = "" if engine is None else f", which {engine.name} does not ask"
        raise FieldError(
            f"{place}model",
            f"is the address of a server{name}; leave {place}engine.name out, or name a model",
        )
    try:
        kind.check_machine(engine)
        reference, served = loaded(kind.stands)(engine)
    except FieldError as error:
        field = error.field.replace("engine.base_url", "model")
        raise FieldError(f"{place}{field}", error.problem) from None
    named = engine.model_copy(update={"served_model": served})
    return section.model_copy(update={"model": reference, "engine": named})
