"""Architectures that rows cannot share: refused in one line before anything runs, or run right."""

from __future__ import annotations

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    BartConfig,
    BloomConfig,
    CTRLConfig,
    FalconConfig,
    Gemma2Config,
    GPT2Config,
    GPTNeoConfig,
    Llama4TextConfig,
    MptConfig,
    OPTConfig,
    Qwen3MoeConfig,
    RoFormerConfig,
    StableLmConfig,
)

from harness.engines.contract import Capture, Reading, Request
from harness.engines.transformers.engine import TransformersEngine
from harness.errors import ModelError
from harness.models.loading import LoadedModel, context_of, load
from tests.engines.transformers.small_requests import prompts, run

_SIZES = {
    "vocab_size": 48,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 64,
    "bos_token_id": None,
    "eos_token_id": 0,
    "pad_token_id": None,
}
_OLD = {
    "vocab_size": 48,
    "n_layer": 2,
    "n_head": 4,
    "bos_token_id": None,
    "eos_token_id": 0,
    "pad_token_id": None,
}
RIGHT = {
    "learned": lambda: OPTConfig(**_SIZES, ffn_dim=48, word_embed_proj_dim=32),
    "learned-gpt2": lambda: GPT2Config(**_OLD, n_embd=32, n_positions=64),
    "sinusoidal": lambda: CTRLConfig(**_OLD, n_embd=32, dff=48, n_positions=64),
    "partial-rotary": lambda: StableLmConfig(**_SIZES, num_key_value_heads=2),
    "chunked": lambda: Llama4TextConfig(
        **{**_SIZES, "intermediate_size": 24},
        intermediate_size_mlp=48,
        num_key_value_heads=2,
        head_dim=8,
        attention_chunk_size=8,
        num_local_experts=2,
        layer_types=["chunked_attention", "full_attention"],
        no_rope_layers=[1, 0],
    ),
}
REFUSED = {
    "bloom": (lambda: BloomConfig(**_OLD, hidden_size=32), "takes no positions"),
    "mpt": (
        lambda: MptConfig(vocab_size=48, d_model=32, n_layers=2, n_heads=4, max_seq_len=64),
        "takes no positions",
    ),
    "falcon-alibi": (
        lambda: FalconConfig(**_SIZES, alibi=True, new_decoder_architecture=False),
        "takes no positions",
    ),
    "bart": (
        lambda: BartConfig(
            vocab_size=48, d_model=32, decoder_layers=2, decoder_attention_heads=4, is_decoder=True
        ),
        "takes no positions",
    ),
    "roformer": (
        lambda: RoFormerConfig(**{**_SIZES, "pad_token_id": 0}, is_decoder=True),
        "takes no positions",
    ),
    # Its local layers make masks of their own from the cache's columns: with a window longer than
    # the trial's rows nothing else would tell.
    "gpt_neo": (
        lambda: GPTNeoConfig(
            vocab_size=48,
            hidden_size=32,
            num_layers=2,
            num_heads=4,
            attention_types=[[["global", "local"], 1]],
            window_size=32,
            max_position_embeddings=64,
        ),
        "departs in long sequences",
    ),
    # transformers' sdpa leaves the cap out; whoever loads the model by `load` gets it written out.
    "soft-cap-sdpa": (
        lambda: Gemma2Config(**_SIZES, head_dim=8, attn_logit_softcapping=0.5),
        "otherwise than the row alone",
    ),
    "too many experts": (
        lambda: Qwen3MoeConfig(**_SIZES, num_experts=4, num_experts_per_tok=9),
        "cannot be run: RuntimeError",
    ),
}


@pytest.fixture
def of_config(tiny_model):
    def made(config):
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
        generator = torch.Generator().manual_seed(1)
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                norm = "norm" in name or "ln_" in name
                noise = torch.randn(parameter.shape, generator=generator)
                parameter.copy_(1 + 0.1 * noise if norm else 0.4 * noise)
        model.generation_config.eos_token_id = 0
        return LoadedModel("./some", model, tiny_model("llama").tokenizer, content_hash="x")

    return made


@pytest.mark.parametrize("name", RIGHT)
def test_a_batch_of_unequal_rows_says_what_the_model_says_alone(name, of_config):
    loaded = of_config(RIGHT[name]())
    asked = prompts(6, seed=1)
    found = run(TransformersEngine(loaded, slots=4), [Request(prompt, 4) for prompt in asked])
    for prompt, completion in zip(asked, found, strict=True):
        said = loaded.model.generate(
            torch.tensor([prompt]),
            attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
            max_new_tokens=4,
            do_sample=False,
            pad_token_id=0,
        )
        assert list(completion.tokens) == said[0, len(prompt) :].tolist()


@pytest.mark.parametrize("name", RIGHT)
def test_the_layers_of_every_decoder_are_found_and_read(name, of_config):
    """Whatever it calls them: GPT-2 has no `layers`, and reading it was a traceback."""
    loaded = of_config(RIGHT[name]())
    tokens = prompts(1, seed=2)[0]
    capture = Capture(hidden_layers=(0,), token_log_probabilities=True)
    ((_, seen),) = TransformersEngine(loaded, slots=2).forward([Reading(tokens, capture)])
    with torch.no_grad():
        own = loaded.model(torch.tensor([tokens]), output_hidden_states=True)
    assert torch.allclose(seen.hidden[0], own.hidden_states[1][0], atol=1e-4)
    expected = own.logits[0, :-1].log_softmax(-1).gather(1, torch.tensor(tokens[1:])[:, None])
    assert torch.allclose(seen.token_log_probabilities[1:], expected[:, 0], atol=1e-4)


def test_attention_that_is_capped_is_written_out(of_config, tmp_path):
    """Gemma 2's own sdpa is another model: it was served in silence."""
    made = of_config(REFUSED["soft-cap-sdpa"][0]())
    made.model.save_pretrained(tmp_path)
    made.tokenizer.save_pretrained(tmp_path)
    prompt = torch.tensor([prompts(1, seed=1)[0]])
    own = AutoModelForCausalLM.from_pretrained(tmp_path, attn_implementation="eager")
    right, dropped = (model(prompt).logits for model in (own, made.model))
    loaded = load(str(tmp_path), device="cpu")
    assert (right - dropped).abs().max() > 0.01
    assert torch.equal(loaded.model(prompt).logits, right)
    (found,) = run(TransformersEngine(loaded, slots=2), [Request(tuple(prompt[0].tolist()), 1)])
    expected = right[0, -1].log_softmax(-1).max().item()
    assert found.log_probabilities[0] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("name", REFUSED)
def test_what_rows_cannot_share_is_refused_in_one_line(name, of_config):
    config, why = REFUSED[name]
    with pytest.raises(ModelError, match=why) as caught:
        TransformersEngine(of_config(config()))
    assert "\n" not in str(caught.value)
    assert "./some" in str(caught.value)


def test_layers_of_an_unknown_mask_are_refused(of_config):
    loaded = of_config(RIGHT["chunked"]())
    loaded.model.config.layer_types = ["strange_attention", "full_attention"]
    with pytest.raises(ModelError, match="strange_attention"):
        TransformersEngine(loaded)


def test_the_context_has_many_names():
    assert context_of(OPTConfig(max_position_embeddings=64)) == 64
    assert context_of(MptConfig(max_seq_len=32)) == 32
    with pytest.raises(ModelError, match="bloom: the configuration says no longest sequence"):
        context_of(BloomConfig())
