"""From the adapter section of a spec to the adapter: found, read, and held against its base.

What a configuration tells (the model's name, its layers and width) is checked before weights are
loaded; whether the modules are there, by the engine that has them.
"""

from __future__ import annotations

from harness.errors import FieldError, ModelError
from harness.interventions.adapted_weights import layer_of
from harness.interventions.adapter.description import Adapter
from harness.interventions.adapter.lora import Described, described
from harness.interventions.adapter.section import AdapterSettings
from harness.models.adapters import adapter_folder
from harness.models.loading import load_config
from harness.models.organisms import load_organism
from harness.models.sites import hidden_shape
from harness.resolve.resolution import Resolution
from harness.spec import Experiment

#: Linear modules of every architecture that has them under these names: they read hidden states.
_READING = ("q_proj", "k_proj", "v_proj", "qkv_proj", "query_key_value", "gate_proj", "up_proj")


class AdapterResolution(Resolution[AdapterSettings]):
    """Finds the adapters of the cases of one model."""

    def resolve(self, experiment: Experiment, settings: AdapterSettings) -> Adapter:
        """The adapter at its scale."""
        reference, name = adapter_of(experiment, settings)
        field = "intervention.path" if settings.organism is None else "intervention.variant"
        try:
            folder = adapter_folder(reference)
            found = described(folder)
        except ModelError as error:
            raise FieldError(field, str(error)) from error
        except FieldError as error:
            raise FieldError(field, error.problem) from error
        _check_base(experiment, found, name, field)
        return Adapter(content=found.content, folder=str(folder), name=name, scale=settings.scale)


def adapter_of(experiment: Experiment, settings: AdapterSettings) -> tuple[str, str]:
    """The reference of a section's adapter, and what it is called.

    Raises `FieldError` for an organism or a variant that is not there, or is of another base.
    """
    if settings.organism is None:
        assert settings.path is not None, "a section has one of the two"
        return settings.path, settings.path.rstrip("/").rpartition("/")[2]
    try:
        organism = load_organism(settings.organism)
    except ModelError as error:
        raise FieldError("intervention.organism", str(error)) from error
    if organism.base != experiment.model:
        raise FieldError(
            "intervention.organism",
            f"organism {organism.name} was made of {organism.base}, and the model is "
            f"{experiment.model}; write model: {organism.base}",
        )
    wanted = settings.variant or "default"
    try:
        variant = organism.variant(wanted)
    except ModelError as error:
        raise FieldError("intervention.variant", str(error)) from error
    if variant.adapter is None:
        raise FieldError(
            "intervention.variant",
            f"variant {wanted} of organism {organism.name} is a checkpoint and no adapter; write "
            f"model: {variant.checkpoint}",
        )
    return variant.adapter, f"{organism.name}/{wanted}"


def _check_base(experiment: Experiment, found: Described, name: str, field: str) -> None:
    """Raise `FieldError` for an adapter of another model, as far as configurations tell."""
    names = {found.base or experiment.model, experiment.model}
    if len(names) > 1 and not any(map(_is_path, names)):
        raise FieldError(
            field,
            f"adapter {name} was trained on {found.base}, and the model is {experiment.model}; "
            f"write model: {found.base}",
        )
    layers, width = hidden_shape(load_config(experiment.model))
    remedy = f"use an adapter of {experiment.model}"
    for module, (inputs, _) in found.shapes.items():
        if layer_of(module) >= layers:
            raise FieldError(
                field,
                f"adapter {name} has factors of {module}, but the model's layers are "
                f"0-{layers - 1}; {remedy}",
            )
        if module.endswith(_READING) and inputs != width:
            raise FieldError(
                field,
                f"adapter {name} has factors of {module} for states of {inputs} numbers, but the "
                f"model's have {width}; {remedy}",
            )


def _is_path(reference: str) -> bool:
    return reference.startswith((".", "/", "~"))
