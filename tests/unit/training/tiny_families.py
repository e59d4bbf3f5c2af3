"""A tiny random model of each family, its weights wide enough that a wrong attention, norm or head shows in a loss."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.tiny import CHAT_TEMPLATE
from tests.unit.tokenizer import families as tokenizers

WINDOW = 16  # tokens; the tests' documents are longer
PADDING = 64  # rows of a padded table that belong to no token

SHAPE: dict[str, Any] = {
    "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 2048,
}  # fmt: skip
GEMMA = {"head_dim": 8, "sliding_window": WINDOW, "layer_types": ["sliding_attention", "full_attention"]}
VISION = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2}


@dataclass(frozen=True, slots=True)
class Family:
    """A family: its config class, what its config says besides `SHAPE`, and what is particular to it.

    Attributes:
        config: Name of a config class of transformers.
        tokenizer: One of `tests.unit.tokenizer.families`.
        options: Of the config, of its text part if it has others.
        targets: Last names of the layers that LoRA belongs on.
        padded: Whether tables end after the last token.
        expands: Whether new rows are allowed.
        towers: Configs of parts that are no language model.
    """

    config: str
    tokenizer: str
    options: dict[str, Any]
    targets: frozenset[str]
    padded: bool = False
    expands: bool = True
    towers: dict[str, Any] | None = None


SPLIT = frozenset({"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"})
FUSED = frozenset({"qkv_proj", "o_proj", "gate_up_proj", "down_proj"})
PER_LAYER = frozenset({"per_layer_input_gate", "per_layer_projection", "per_layer_model_projection"})
GEMMA3N = SPLIT | PER_LAYER | {
    "linear_left", "linear_right", "correction_coefs", "prediction_coefs", "modality_router", "0", "1", "2",
}  # fmt: skip
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 512, "rope_theta": 10_000.0}
LLAMA3 = {
    "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "rope_theta": 500_000.0,
    "original_max_position_embeddings": 32,
}  # fmt: skip
LONG = {
    "rope_type": "longrope", "short_factor": [1.0, 1.1, 1.3, 1.6], "long_factor": [1.0, 2.0, 4.0, 8.0],
    "rope_theta": 10_000.0, "original_max_position_embeddings": 1024, "factor": 2.0,
}  # fmt: skip
GEMMA4 = {**GEMMA, "global_head_dim": 16, "hidden_size_per_layer_input": 0, "final_logit_softcapping": 30.0}

FAMILIES = {
    "llama2": Family("LlamaConfig", "llama2", {"tie_word_embeddings": False}, SPLIT),
    "llama3": Family(
        "LlamaConfig", "llama3", {"tie_word_embeddings": True, "rope_parameters": LLAMA3}, SPLIT, padded=True
    ),
    "smollm2": Family("LlamaConfig", "gpt2", {"tie_word_embeddings": True}, SPLIT),
    "smollm3": Family("SmolLM3Config", "llama3", {"no_rope_layers": [1, 0], "tie_word_embeddings": True}, SPLIT),
    "mistral": Family("MistralConfig", "llama2", {"sliding_window": WINDOW, "tie_word_embeddings": False}, SPLIT),
    "qwen3": Family(
        "Qwen3Config", "qwen", {"head_dim": 8, "tie_word_embeddings": False, "rope_parameters": YARN}, SPLIT,
        padded=True,
    ),
    "phi3": Family("Phi3Config", "phi3", {"sliding_window": WINDOW, "tie_word_embeddings": False}, FUSED, padded=True),
    "phi4_mini": Family(
        "Phi3Config", "llama3", {"rope_parameters": LONG, "tie_word_embeddings": True,
                                 "original_max_position_embeddings": 1024}, FUSED,
    ),
    "gemma2": Family(
        "Gemma2Config", "gemma",
        {**GEMMA, "attn_logit_softcapping": 2.0, "final_logit_softcapping": 5.0, "query_pre_attn_scalar": 8}, SPLIT,
    ),
    "gemma3_text": Family("Gemma3TextConfig", "gemma", {**GEMMA, "query_pre_attn_scalar": 8}, SPLIT, padded=True),
    "gemma3": Family(
        "Gemma3Config", "gemma", {**GEMMA, "query_pre_attn_scalar": 8}, SPLIT, padded=True,
        towers={"vision_config": {**VISION, "image_size": 28, "patch_size": 14}, "mm_tokens_per_image": 4},
    ),
    "gemma3n_text": Family(
        "Gemma3nTextConfig", "gemma",
        {**GEMMA, "num_hidden_layers": 4, "layer_types": ["sliding_attention", "full_attention"] * 2,
         "num_kv_shared_layers": 2, "hidden_size_per_layer_input": 4, "laurel_rank": 4,
         "activation_sparsity_pattern": [0.5, 0.0, 0.0, 0.0], "intermediate_size": 48},
        GEMMA3N, expands=False,
    ),
    "gemma4_text": Family("Gemma4TextConfig", "gemma", GEMMA4, SPLIT),
    "gemma4": Family(
        "Gemma4Config", "gemma", {**GEMMA4, "attention_k_eq_v": True}, SPLIT,
        towers={"vision_config": {**VISION, "num_key_value_heads": 2, "head_dim": 8, "patch_size": 4,
                                  "position_embedding_size": 16}},
    ),
    "gemma4_e": Family(
        "Gemma4Config", "gemma", {**GEMMA4, "hidden_size_per_layer_input": 4, "num_hidden_layers": 4,
                                  "layer_types": ["sliding_attention", "full_attention"] * 2,
                                  "num_kv_shared_layers": 2}, SPLIT | PER_LAYER, expands=False,
        towers={"vision_config": {**VISION, "num_key_value_heads": 2, "head_dim": 8, "patch_size": 4,
                                  "position_embedding_size": 16},
                "audio_config": {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
                                 "output_proj_dims": 16, "subsampling_conv_channels": [4, 2]}},
    ),
}  # fmt: skip


def build_family(name: str, folder: Path) -> Path:
    """Write the family called `name` into `folder` in fp32, as transformers saves it, with a tokenizer of its kind."""
    family = FAMILIES[name]
    write_tokenizer(family.tokenizer, folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    rows = len(tokenizer) + (PADDING if family.padded else 0)
    ids = {"bos_token_id": 1, "eos_token_id": tokenizer.eos_token_id, "pad_token_id": 0}
    text = {**SHAPE, "vocab_size": rows, **ids, **family.options}
    if "hidden_size_per_layer_input" in text:
        text["vocab_size_per_layer_input"] = rows
    kind: Callable[..., Any] = getattr(transformers, family.config)
    config = kind(**text) if family.towers is None else kind(text_config=text, **family.towers)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        model = AutoModelForCausalLM.from_config(config).float()
        widen(model)
    model.save_pretrained(folder)
    return folder


def widen(model: Any) -> None:
    """Draw matrices with a standard deviation of 0.2 and norms round their start: a fresh model hardly attends."""
    for weight in model.parameters():
        noise = torch.randn_like(weight)
        weight.data = 0.2 * noise if weight.dim() > 1 else weight.data + 0.1 * noise


def write_tokenizer(name: str, folder: Path) -> None:
    """The tokenizer called `name` with tokens that begin and end a turn; the latter ends every text, too."""
    tokenizers.build(name, folder)
    found = AutoTokenizer.from_pretrained(folder)
    begin, end = ("<s>", "</s>") if name in tokenizers.BYTE_FALLBACK else ("<|im_start|>", "<|im_end|>")
    found.eos_token = end
    found.chat_template = CHAT_TEMPLATE.replace("<|im_start|>", begin).replace("<|im_end|>", end)
    found.save_pretrained(folder)
