"""Routers of five architectures: found, verified, and masked as a reference in plain loops says.

The reference computes a block from the raw weights, token by token and expert by expert in
float64, and shares no code with `route` or with transformers.
"""

from __future__ import annotations

import math
from contextlib import contextmanager
from dataclasses import dataclass
from types import MethodType

import numpy as np
import pytest
import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    DbrxConfig,
    DeepseekV3Config,
    GptOssConfig,
    LlamaConfig,
    MixtralConfig,
    OlmoeConfig,
    Qwen2MoeConfig,
    Qwen3MoeConfig,
    Qwen3VLMoeConfig,
)

from harness.errors import ModelError
from harness.interventions.router_logits import route
from harness.interventions.router_mask.description import RouterMask
from harness.models import RouterShape, router_shape, router_sites
from harness.models.loading import load_config
from harness.models.routers import has_routers

EXPERTS, LENGTH = 8, 6

# Sizes are multiples of 4: grouped_mm, transformers' default for experts, wants 16-byte strides.
SMALL = {
    "vocab_size": 32,
    "hidden_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 8,
    "max_position_embeddings": 64,
    "bos_token_id": None,
    "eos_token_id": None,
    "pad_token_id": None,
}
QWEN = {
    **SMALL,
    "intermediate_size": 24,
    "moe_intermediate_size": 12,
    "num_experts": EXPERTS,
    "num_experts_per_tok": 3,
}
QWEN2 = {**QWEN, "shared_expert_intermediate_size": 12}


def _configs():
    small = {**SMALL, "intermediate_size": 12, "num_experts_per_tok": 2}
    yield "qwen2_moe", Qwen2MoeConfig(**QWEN2, decoder_sparse_step=2)
    yield "qwen2_moe-norm", Qwen2MoeConfig(**QWEN2, norm_topk_prob=True)
    yield "qwen3_moe", Qwen3MoeConfig(**QWEN, mlp_only_layers=[1])
    yield "qwen3_moe-norm", Qwen3MoeConfig(**QWEN, norm_topk_prob=True)
    yield "olmoe", OlmoeConfig(**small, num_experts=EXPERTS)
    yield "olmoe-norm", OlmoeConfig(**small, num_experts=EXPERTS, norm_topk_prob=True)
    yield "mixtral", MixtralConfig(**small, num_local_experts=EXPERTS)
    yield "gpt_oss", GptOssConfig(**small, num_local_experts=EXPERTS, attention_bias=True)


CONFIGS = dict(_configs())


def build(config):
    """A model whose every weight is drawn from a seeded normal, routers and biases included."""
    torch.manual_seed(0)
    config._attn_implementation = "eager"
    model = AutoModelForCausalLM.from_config(config).float().eval()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            noise = torch.randn(weight.shape, generator=generator)
            # Wide enough that experts differ, that gates prefer, and that GPT-OSS's clamp acts.
            size = 2.0 if "gate_up_proj" in name else 0.5
            weight.copy_(1 + 0.1 * noise if "norm" in name else size * noise)
    return model


@pytest.fixture(scope="module", params=CONFIGS)
def model(request):
    return build(CONFIGS[request.param])


@pytest.fixture(scope="module")
def prompt():
    generator = torch.Generator().manual_seed(2)
    return torch.randint(0, SMALL["vocab_size"], (1, LENGTH), generator=generator)


def some_points(sites, per_layer, seed):
    rng = np.random.default_rng(seed)
    return [(s.layer, int(e)) for s in sites for e in rng.permutation(EXPERTS)[:per_layer]]


@dataclass
class Hooks:
    """Own the routing of every router as an engine would; what went through is kept."""

    sites: tuple
    masks: list
    first: int = 0
    """Positions before this one are not masked."""
    changed: int = 0
    emptied: int = 0

    def __post_init__(self):
        layers = [site.layer for site in self.sites]
        self.table = torch.stack([mask.mask(layers, EXPERTS) for mask in self.masks])

    def _hook(self, row):
        replace = torch.tensor([mask.mode == "replace_topk" for mask in self.masks])
        zero = torch.tensor([mask.on_empty == "zero" for mask in self.masks])

        def hook(module, args, output):
            logits, scores, indices = output
            length = len(logits) // len(self.masks)
            mask = self.table[:, row, None].repeat(1, length, 1)
            mask[:, : self.first] = False
            routing = route(
                logits,
                scores,
                indices,
                mask.flatten(0, 1),
                replace.repeat_interleave(length),
                zero.repeat_interleave(length),
            )
            self.changed += int(routing.changed.sum())
            self.emptied += int(routing.emptied.sum())
            return logits, routing.scores, routing.indices

        return hook

    @contextmanager
    def attached(self):
        handles = [s.module.register_forward_hook(self._hook(i)) for i, s in enumerate(self.sites)]
        try:
            yield self
        finally:
            for handle in handles:
                handle.remove()


@torch.no_grad()
def run(model, tokens):
    """(logits, the input of every layer and the output of the last)."""
    output = model(tokens, output_hidden_states=True, use_cache=False)
    return output.logits, output.hidden_states


# --- the reference ---------------------------------------------------------------------------


def reference_weights(kind, config, logits, masked, mask):
    """{expert: weight} of one token, from its gate's logits and the layer's masked experts."""
    by_logit = sorted(range(EXPERTS), key=lambda e: -logits[e])
    own = by_logit[: config.num_experts_per_tok]
    exp = [math.exp(z - max(logits)) for z in logits]
    normalised = kind in ("mixtral", "gpt_oss") or config.norm_topk_prob
    total = sum(exp[e] for e in own) if normalised else sum(exp)
    baseline = {e: exp[e] / total for e in own}
    if not masked & set(own):
        return baseline
    if mask.mode == "keep_topk":
        chosen = [e for e in own if e not in masked]
    else:
        chosen = [e for e in by_logit if e not in masked][: len(own)]
    if not chosen:
        return {} if mask.on_empty == "zero" else baseline
    rescale = sum(baseline.values()) / sum(exp[e] for e in chosen)
    return {e: exp[e] * rescale for e in chosen}


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def silu(x):
    return x * sigmoid(x)


def array(tensor):
    return tensor.detach().double().numpy()


def reference_expert(kind, experts, e, x):
    """The output of one expert for one token [H]."""
    if kind == "gpt_oss":  # columns, interleaved gate and up, biases, clamped swiglu
        both = x @ array(experts.gate_up_proj[e]) + array(experts.gate_up_proj_bias[e])
        gate, up = np.minimum(both[0::2], 7.0), np.clip(both[1::2], -7.0, 7.0)
        hidden = (up + 1) * gate * sigmoid(1.702 * gate)
        return hidden @ array(experts.down_proj[e]) + array(experts.down_proj_bias[e])
    both = array(experts.gate_up_proj[e]) @ x
    gate, up = np.split(both, 2)
    return array(experts.down_proj[e]) @ (silu(gate) * up)


def reference_block(kind, config, block, x, masked, mask):
    """The output [H] of one mixture-of-experts block for one token x [H]."""
    router = block.router if kind == "gpt_oss" else block.gate
    logits = array(router.weight) @ x
    if kind == "gpt_oss":
        logits = logits + array(router.bias)
    out = np.zeros_like(x)
    for e, weight in reference_weights(kind, config, logits.tolist(), masked, mask).items():
        out += weight * reference_expert(kind, block.experts, e, x)
    if kind == "qwen2_moe":
        shared = block.shared_expert
        hidden = silu(array(shared.gate_proj.weight) @ x) * (array(shared.up_proj.weight) @ x)
        open_ = sigmoid(array(block.shared_expert_gate.weight) @ x)
        out += open_ * (array(shared.down_proj.weight) @ hidden)
    return out


@contextmanager
def reference_blocks(model, layers, masks):
    """Every block with a router computes as the reference does, each row under its mask."""
    kind, blocks = model.config.model_type, [model.base_model.layers[i].mlp for i in layers]

    def forward_of(layer, block):
        def forward(hidden):
            out = torch.empty_like(hidden)
            for row, mask in enumerate(masks):
                masked = {expert for at, expert in mask.points if at == layer}
                for t, x in enumerate(array(hidden[row])):
                    y = reference_block(kind, model.config, block, x, masked, mask)
                    out[row, t] = torch.from_numpy(y)
            return (out, None) if kind == "gpt_oss" else out

        return forward

    for layer, block in zip(layers, blocks, strict=True):
        block.forward = forward_of(layer, block)
    try:
        yield
    finally:
        for block in blocks:
            del block.forward


# --- masks on whole models -------------------------------------------------------------------


def every_kind_of_mask(sites):
    """No mask, a light and a heavy one in each mode; heavy keep masks empty some tokens."""
    room = EXPERTS - sites[0].top_k
    return [
        RouterMask(),
        RouterMask(points=some_points(sites, 3, seed=0)),
        RouterMask(points=some_points(sites, 7, seed=1)),
        RouterMask(points=some_points(sites, 7, seed=2), on_empty="zero"),
        RouterMask(points=some_points(sites, EXPERTS, seed=3), on_empty="zero"),
        RouterMask(points=some_points(sites, 3, seed=4), mode="replace_topk"),
        RouterMask(points=some_points(sites, room, seed=5), mode="replace_topk", on_empty="zero"),
    ]


@pytest.mark.parametrize("experts", ["grouped_mm", "batched_mm", "eager"])
def test_masked_model_equals_the_reference_in_every_mode(model, prompt, experts):
    model.set_experts_implementation(experts)
    sites = router_sites(model)
    masks = every_kind_of_mask(sites)
    batch = prompt.repeat(len(masks), 1)
    with Hooks(sites, masks).attached() as hooks:
        logits, hidden = run(model, batch)
    with reference_blocks(model, [site.layer for site in sites], masks):
        expected, expected_hidden = run(model, batch)
    assert hooks.changed
    assert hooks.emptied
    # Weights as large as these make large hidden states: relative to those.
    for ours, theirs in zip(hidden, expected_hidden, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5 * theirs.abs().max().item())
    torch.testing.assert_close(logits, expected, rtol=1e-5, atol=1e-5 * expected.abs().max().item())


def test_every_block_equals_the_reference_on_its_own_input(model, prompt):
    sites = router_sites(model)
    masks = every_kind_of_mask(sites)
    kind, seen = model.config.model_type, {}

    def keep(layer):
        def hook(block, args, output):
            seen[layer] = (args[0], output[0] if kind == "gpt_oss" else output)

        return hook

    blocks = {site.layer: model.base_model.layers[site.layer].mlp for site in sites}
    handles = [block.register_forward_hook(keep(layer)) for layer, block in blocks.items()]
    with Hooks(sites, masks).attached():
        run(model, prompt.repeat(len(masks), 1))
    for handle in handles:
        handle.remove()

    for layer, (inputs, outputs) in seen.items():
        for row, mask in enumerate(masks):
            masked = {expert for at, expert in mask.points if at == layer}
            for x, y in zip(array(inputs[row]), array(outputs[row]), strict=True):
                expected = reference_block(kind, model.config, blocks[layer], x, masked, mask)
                scale = max(1.0, np.abs(expected).max())
                np.testing.assert_allclose(y, expected, rtol=0, atol=1e-5 * scale)


def test_the_clamp_of_gpt_oss_acts_in_these_models(prompt):
    model = build(CONFIGS["gpt_oss"])
    block = model.model.layers[-1].mlp
    inputs = []
    block.register_forward_pre_hook(lambda block, args: inputs.append(args[0]))
    run(model, prompt)
    gate_up = (
        inputs[0].flatten(0, 1) @ block.experts.gate_up_proj
        + block.experts.gate_up_proj_bias[:, None]
    )
    assert (gate_up.abs() > 7.0).any()


def test_neutral_mask_and_removed_hooks_change_no_bit(model, prompt):
    baseline, _ = run(model, prompt)
    sites = router_sites(model)
    for mode in ("keep_topk", "replace_topk"):
        with Hooks(sites, [RouterMask(mode=mode)]).attached() as hooks:
            assert torch.equal(run(model, prompt)[0], baseline)
        assert not hooks.changed
    with Hooks(sites, [RouterMask(points=some_points(sites, 5, seed=0))]).attached():
        assert not torch.equal(run(model, prompt)[0], baseline)
    assert torch.equal(run(model, prompt)[0], baseline)


@pytest.mark.parametrize("mode", ["keep_topk", "replace_topk"])
def test_masking_experts_that_nobody_selects_changes_no_token(model, prompt, mode):
    def greedy():
        return model.generate(
            prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=5, do_sample=False
        )

    sites = router_sites(model)
    used = set()

    def watch(layer):
        return lambda module, args, output: used.update(
            (layer, e) for e in output[2].flatten().tolist()
        )

    handles = [site.module.register_forward_hook(watch(site.layer)) for site in sites]
    baseline = greedy()
    for handle in handles:
        handle.remove()
    unused = {(site.layer, e) for site in sites for e in range(EXPERTS)} - used
    with Hooks(sites, [RouterMask(points=sorted(unused), mode=mode)]).attached() as hooks:
        assert torch.equal(greedy(), baseline)
    assert not hooks.changed


def test_layers_before_a_mask_do_not_feel_it(model, prompt):
    sites = router_sites(model)
    last = sites[-1].layer
    points = [(last, expert) for expert in range(EXPERTS - sites[0].top_k)]
    _, before = run(model, prompt)
    with Hooks(sites, [RouterMask(points=points, mode="replace_topk")]).attached() as hooks:
        _, after = run(model, prompt)
    assert hooks.changed
    for layer in range(last + 1):
        assert torch.equal(before[layer], after[layer])
    assert not torch.equal(before[last + 1], after[last + 1])


def test_positions_before_a_mask_do_not_feel_it(model, prompt):
    sites, first = router_sites(model), LENGTH // 2
    mask = RouterMask(points=some_points(sites, 7, seed=1), on_empty="zero")
    logits, before = run(model, prompt)
    with Hooks(sites, [mask], first=first).attached() as hooks:
        masked_logits, after = run(model, prompt)
    assert hooks.changed
    # Close and not equal: experts are multiplied with other tokens beside these.
    for a, b in zip([logits, *before], [masked_logits, *after], strict=True):
        scale = a.abs().max().item()
        torch.testing.assert_close(a[:, :first], b[:, :first], rtol=1e-6, atol=1e-6 * scale)
    assert not torch.allclose(logits[:, first:], masked_logits[:, first:])


# --- finding routers -------------------------------------------------------------------------


def test_sites_agree_with_the_shape(model):
    shape, sites = router_shape(model.config), router_sites(model)
    assert tuple(site.layer for site in sites) == shape.layers
    for site in sites:
        assert (site.experts, site.top_k) == (shape.experts, shape.top_k)
        logits, scores, indices = site.module(torch.ones(5, SMALL["hidden_size"]))
        assert logits.shape == (5, shape.experts)
        assert scores.shape == indices.shape == (5, shape.top_k)
    assert router_sites(model.base_model) == sites


@pytest.mark.parametrize(
    ("config", "shape"),
    [
        (CONFIGS["qwen2_moe"], RouterShape((1,), 8, 3)),
        (CONFIGS["qwen3_moe"], RouterShape((0, 2), 8, 3)),
        (CONFIGS["olmoe"], RouterShape((0, 1, 2), 8, 2)),
        (CONFIGS["mixtral"], RouterShape((0, 1, 2), 8, 2)),
        (CONFIGS["gpt_oss"], RouterShape((0, 1, 2), 8, 2)),
        (
            Qwen3MoeConfig(
                **QWEN | {"num_hidden_layers": 6}, decoder_sparse_step=2, mlp_only_layers=[3]
            ),
            RouterShape((1, 5), 8, 3),
        ),
    ],
)
def test_shape_needs_no_weights(config, shape):
    assert router_shape(config) == shape


def test_shape_survives_saving_the_configuration(tmp_path):
    for name, config in CONFIGS.items():
        config.save_pretrained(tmp_path / name)
        assert router_shape(AutoConfig.from_pretrained(tmp_path / name)) == router_shape(config)


KNOWN = "gpt_oss, mixtral, olmoe, qwen2_moe, qwen3_moe"


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            LlamaConfig(),
            f"LlamaConfig (model_type llama) has no routers; models with known routers are {KNOWN}",
        ),
        (
            LlamaConfig(architectures=["LlamaForCausalLM"]),
            (
                "LlamaForCausalLM (model_type llama) has no routers; "
                f"models with known routers are {KNOWN}"
            ),
        ),
        (
            DeepseekV3Config(),
            (
                "DeepseekV3Config (model_type deepseek_v3) has routers that are not known here; "
                f"known are {KNOWN}"
            ),
        ),
        (
            DbrxConfig(),
            f"DbrxConfig (model_type dbrx) has routers that are not known here; known are {KNOWN}",
        ),
        (
            Qwen3VLMoeConfig(),
            (
                "Qwen3VLMoeConfig (model_type qwen3_vl_moe) has routers that are not known here; "
                f"known are {KNOWN}"
            ),
        ),
        (
            Qwen3MoeConfig(**QWEN, mlp_only_layers=[0, 1, 2]),
            (
                "Qwen3MoeConfig (model_type qwen3_moe) has no routers: its configuration makes "
                "all of its 3 layers dense"
            ),
        ),
    ],
    ids=lambda value: getattr(value, "model_type", None),
)
def test_models_without_known_routers(config, message):
    with pytest.raises(ModelError) as caught:
        router_shape(config)
    assert str(caught.value) == message


class TestWhatIsNotAsExpected:
    @pytest.fixture
    def model(self):
        return build(Qwen3MoeConfig(**QWEN))

    def refusal(self, model):
        with pytest.raises(ModelError) as caught:
            router_sites(model)
        return str(caught.value)

    def test_router_of_another_class(self, model):
        # As in transformers 4, where a hook that returns scores and indices would do nothing.
        model.model.layers[1].mlp.gate = torch.nn.Linear(16, EXPERTS, bias=False)
        assert self.refusal(model) == (
            "Qwen3MoeForCausalLM, layer 1: mlp.gate is a Linear, not a Qwen3MoeTopKRouter; "
            "use transformers 5.16.1 to 5.19"
        )

    def test_no_router(self, model):
        del model.model.layers[0].mlp.gate
        assert "layer 0: mlp.gate is a NoneType, not a Qwen3MoeTopKRouter" in self.refusal(model)

    def test_router_of_another_shape(self, model):
        model.model.layers[2].mlp.gate.top_k = 4
        assert self.refusal(model) == (
            "Qwen3MoeForCausalLM, layer 2: Qwen3MoeTopKRouter selects 4 of 8 experts, but the "
            "configuration says 3 of 8"
        )

    def test_dense_layer_in_place_of_a_block(self, model):
        model.model.layers[1].mlp = torch.nn.Identity()
        assert self.refusal(model) == (
            "Qwen3MoeForCausalLM, layer 1: mlp is a Identity, but the configuration says "
            "a Qwen3MoeSparseMoeBlock; use transformers 5.16.1 to 5.19"
        )

    def test_block_in_place_of_a_dense_layer(self, model):
        model.config.mlp_only_layers = [1]
        assert "layer 1: mlp is a Qwen3MoeSparseMoeBlock, but the configuration says a dense" in (
            self.refusal(model)
        )

    def test_layers_that_are_missing(self, model):
        del model.model.layers[2]
        assert self.refusal(model) == (
            "Qwen3MoeForCausalLM: Qwen3MoeModel.layers holds 2 layers, but the configuration says 3"
        )

    @pytest.mark.parametrize("attribute", ["mlp", "mlp.gate"])
    def test_forward_that_bypasses_the_router(self, model, attribute):
        # What MXFP4 and hub kernels do to a block.
        module = model.model.layers[0].get_submodule(attribute)
        module.forward = MethodType(lambda self, hidden: hidden, module)
        assert self.refusal(model) == (
            f"Qwen3MoeForCausalLM, layer 0: the forward of {type(module).__name__} was replaced "
            "(quantised or kernelised), so that its router may not be called; load the model "
            "dequantised and without hub kernels"
        )

    def test_forward_that_accelerate_wrapped_is_fine(self, model):
        # accelerate.hooks.add_hook_to_module: the old forward is kept, and called.
        block = model.model.layers[0].mlp
        block._old_forward = block.forward
        block.forward = lambda *args: block._old_forward(*args)
        assert len(router_sites(model)) == 3


def test_whether_a_model_has_routers_is_known_from_its_configuration():
    assert [has_routers(load_config(f"zoo/{name}")) for name in ("moe", "base")] == [True, False]
