"""GGUF files of the zoo's members, as llama.cpp's converter would write them."""

from __future__ import annotations

import json
from pathlib import Path

import gguf
import numpy as np
from safetensors.torch import load_file

from harness.models import zoo

_ATTENTION = {"q_proj": "attn_q", "k_proj": "attn_k", "v_proj": "attn_v", "o_proj": "attn_output"}
_NAMES = {
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "mlp.gate": "ffn_gate_inp",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    **{f"self_attn.{theirs}": ours for theirs, ours in _ATTENTION.items()},
}
_ARCHITECTURES = {"llama": "llama", "qwen3_moe": "qwen3moe"}
F32 = gguf.GGMLQuantizationType.F32


def gguf_of(name: str, path: Path, quantised=F32, *, tokenizer=True, architecture=None, **fields):
    """Write a member of the zoo; matrices `quantised`, other fields in front of the usual ones."""
    folder = zoo.resolve(name)
    config = json.loads((folder / "config.json").read_text())
    architecture = architecture or _ARCHITECTURES[config["model_type"]]
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_key_length(config["head_dim"])
    writer.add_value_length(config["head_dim"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(config["rope_parameters"]["rope_theta"])
    writer.add_vocab_size(config["vocab_size"])
    if "num_local_experts" in config:
        writer.add_expert_count(config["num_local_experts"])
        writer.add_expert_used_count(config["num_experts_per_tok"])
        writer.add_expert_feed_forward_length(config["moe_intermediate_size"])
    for field, value in fields.items():
        writer.add_uint32(field.replace("__", "."), value)
    if tokenizer:
        _add_tokenizer(writer, folder)
    for tensor, values in _tensors(folder, config, architecture):
        kind = quantised if values.ndim > 1 and "ffn_gate_inp" not in tensor else F32
        data = gguf.quants.quantize(values, kind)
        writer.add_tensor(tensor, data, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _add_tokenizer(writer, folder):
    document = json.loads((folder / "tokenizer.json").read_text())
    tokens = sorted(document["model"]["vocab"], key=document["model"]["vocab"].__getitem__)
    special = {token["content"] for token in document["added_tokens"]}
    kinds = [gguf.TokenType.CONTROL if t in special else gguf.TokenType.NORMAL for t in tokens]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    merges = document["model"]["merges"]
    writer.add_token_merges([m if isinstance(m, str) else " ".join(m) for m in merges])
    writer.add_eos_token_id(tokens.index("<|im_end|>"))
    writer.add_pad_token_id(tokens.index("<|endoftext|>"))
    writer.add_chat_template((folder / "chat_template.jinja").read_text())


def _tensors(folder, config, architecture):
    experts = {}
    for name, tensor in load_file(folder / "model.safetensors").items():
        values = tensor.float().numpy()
        parts = name.removesuffix(".weight").split(".")
        if name == "model.embed_tokens.weight":
            yield "token_embd.weight", values
        elif name == "model.norm.weight":
            yield "output_norm.weight", values
        elif "experts" in parts:
            what = {"gate_proj": "gate", "up_proj": "up", "down_proj": "down"}[parts[-1]]
            place = f"blk.{parts[2]}.ffn_{what}_exps.weight"
            experts.setdefault(place, {})[int(parts[5])] = values
        else:
            what = ".".join(parts[3:])
            if architecture == "llama" and parts[-1] in {"q_proj", "k_proj"}:
                heads = "num_attention_heads" if parts[-1] == "q_proj" else "num_key_value_heads"
                values = _interleaved(values, config[heads])
            yield f"blk.{parts[2]}.{_NAMES[what]}.weight", values
    for place, each in experts.items():
        yield place, np.stack([each[index] for index in sorted(each)])


def _interleaved(values, heads):
    """Rows of rotary pairs side by side, which is how llama.cpp turns them."""
    rows, columns = values.shape
    halves = values.reshape(heads, 2, rows // heads // 2, columns)
    return np.ascontiguousarray(halves.swapaxes(1, 2).reshape(rows, columns))
