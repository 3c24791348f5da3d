"""The entry point `vllm.general_plugins`: prepares vLLM's processes, and changes nothing by itself.

vLLM calls `register` in every process of every engine of an environment that has this package. What
it puts in place asks, when a model is loaded, whether our engine wants that model: whether its
configuration carries our settings. All other models are left as they are.
"""

from __future__ import annotations

import multiprocessing
from typing import Any

from torch import nn

from harness.engines.vllm.worker import shared_classes
from harness.engines.vllm.worker.conformity import conform
from harness.engines.vllm.worker.model import ModelInterventions
from harness.engines.vllm.worker.ours import MODELS, settings_of
from harness.engines.vllm.worker.structure import check_routers
from harness.processes.parent import end_with

_registered = False


def register() -> None:
    """Prepare this process, once."""
    global _registered
    if _registered:
        return
    _registered = True
    parent = multiprocessing.parent_process()
    if parent is not None and parent.pid is not None:
        end_with(parent.pid)  # vLLM's processes outlive a harness that was killed
    from harness.engines.vllm.worker import heads, kernels, runner_v1, runner_v2

    _follow_loading()
    heads.follow()
    kernels.follow()
    runner_v1.follow()
    runner_v2.follow()


def _follow_loading() -> None:
    """Put interventions into a model between loading its weights and compiling it.

    As soon as its modules are there it is made what its configuration says, and one that cannot be,
    or whose kernels no mask would reach, is refused.
    """
    from vllm.model_executor.layers import rotary_embedding
    from vllm.model_executor.model_loader import base_loader

    from harness.engines.vllm.worker import heads

    construct, load = base_loader.initialize_model, base_loader.BaseModelLoader.load_model

    def initialize_model(vllm_config: Any, **named: Any) -> nn.Module:
        settings = settings_of(vllm_config)
        if settings is not None:
            # Kept from an engine before, of the same model with another longest sequence.
            rotary_embedding._ROPE_DICT.clear()  # noqa: SLF001 - there is no other way
        model: nn.Module = construct(vllm_config, **named)
        whole = named.get("model_config") or vllm_config.model_config
        if settings is not None and whole is vllm_config.model_config:
            conform(model, whole.hf_text_config)
            heads.rotate_by_torch(model, whole.dtype)
            if settings["routers"]:
                check_routers(model)
        return model

    def load_model(self: Any, vllm_config: Any, model_config: Any, prefix: str = "") -> nn.Module:
        model: nn.Module = load(self, vllm_config, model_config, prefix=prefix)
        settings = settings_of(vllm_config)
        if settings is not None and model_config is vllm_config.model_config:
            shared_classes.release(model)
            MODELS[model] = ModelInterventions(model, vllm_config, settings)
        return model

    base_loader.initialize_model = initialize_model
    base_loader.BaseModelLoader.load_model = load_model
