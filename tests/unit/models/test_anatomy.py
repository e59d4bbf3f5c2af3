"""Counts of weights told from a config, against the models that transformers builds from it."""

from __future__ import annotations

from typing import Any

import pytest

from studio.errors import StudioError
from studio.models.anatomy import Anatomy, read_anatomy

SMALL = {
    "vocab_size": 520, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 3, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 128, "pad_token_id": 0,
}  # fmt: skip
LLAMA_2 = {
    "model_type": "llama", "vocab_size": 32_000, "hidden_size": 4096, "intermediate_size": 11_008,
    "num_hidden_layers": 32, "num_attention_heads": 32, "tie_word_embeddings": False,
}  # fmt: skip
CONFIGS: dict[str, dict[str, Any]] = {
    "llama": {"model_type": "llama", **SMALL},
    "llama, tied, biases": {
        "model_type": "llama", **SMALL, "tie_word_embeddings": True, "attention_bias": True, "mlp_bias": True,
    },
    "llama, wide heads": {"model_type": "llama", **SMALL, "head_dim": 32},
    "mistral": {"model_type": "mistral", **SMALL},
    "phi": {"model_type": "phi3", **SMALL},
    "qwen2": {"model_type": "qwen2", **SMALL},
    "qwen3": {"model_type": "qwen3", **SMALL, "head_dim": 32},
    "smollm3": {"model_type": "smollm3", **SMALL},
    "gemma": {"model_type": "gemma", **SMALL, "head_dim": 32},
    "gemma2": {"model_type": "gemma2", **SMALL},
    "gemma3": {"model_type": "gemma3_text", **SMALL, "head_dim": 32},
    "gemma3n": {
        "model_type": "gemma3n_text", **SMALL, "num_hidden_layers": 10, "num_kv_shared_layers": 5, "head_dim": 16,
        "vocab_size_per_layer_input": 500, "hidden_size_per_layer_input": 8, "laurel_rank": 4,
        "layer_types": (["sliding_attention"] * 4 + ["full_attention"]) * 2, "intermediate_size": [96] * 8 + [128] * 2,
        "activation_sparsity_pattern": [0.0] * 10,
    },
    "Llama-2-7B": LLAMA_2,
    "Llama-3.1-8B": {
        "model_type": "llama", "vocab_size": 128_256, "hidden_size": 4096, "intermediate_size": 14_336,
        "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8, "tie_word_embeddings": False,
    },
    "Mistral-7B": {"model_type": "mistral", "vocab_size": 32_768, "hidden_size": 4096, "intermediate_size": 14_336,
                   "num_hidden_layers": 32, "num_attention_heads": 32, "sliding_window": None},
    "Phi-4-mini": {
        "model_type": "phi3", "vocab_size": 200_064, "hidden_size": 3072, "intermediate_size": 8192,
        "num_hidden_layers": 32, "num_attention_heads": 24, "num_key_value_heads": 8, "tie_word_embeddings": True,
        "pad_token_id": 199_999,
    },
    "Qwen3-0.6B": {
        "model_type": "qwen3", "vocab_size": 151_936, "hidden_size": 1024, "intermediate_size": 3072,
        "num_hidden_layers": 28, "num_attention_heads": 16, "num_key_value_heads": 8, "tie_word_embeddings": True,
    },
    "Gemma-3-1B": {
        "model_type": "gemma3_text", "vocab_size": 262_144, "hidden_size": 1152, "intermediate_size": 6912,
        "num_hidden_layers": 26, "num_attention_heads": 4, "num_key_value_heads": 1,
    },
    "SmolLM3-3B": {"model_type": "smollm3", "vocab_size": 128_256, "hidden_size": 2048, "intermediate_size": 11_008,
                   "num_hidden_layers": 36, "num_attention_heads": 16},
    "Gemma-3n-E4B": {
        "model_type": "gemma3n_text", "vocab_size": 262_400, "hidden_size": 2048, "intermediate_size": 16_384,
        "num_hidden_layers": 35, "num_attention_heads": 8, "num_kv_shared_layers": 15,
    },
}  # fmt: skip


def built(config: dict[str, Any]) -> Any:
    """The model of `config` without memory for its weights."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    given = {key: value for key, value in config.items() if key != "model_type"}
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(AutoConfig.for_model(config["model_type"], **given))


@pytest.mark.parametrize("name", CONFIGS)
def test_every_weight_is_counted(name: str) -> None:
    config = CONFIGS[name]
    model = built(config)
    weights = {id(parameter): parameter.numel() for parameter in model.parameters()}
    assert read_anatomy(config).parameters == sum(weights.values())


@pytest.mark.parametrize("name", [name for name in CONFIGS if name[0].islower()])
@pytest.mark.parametrize("targets", [None, ["down_proj", "self_attn.o_proj"]], ids=["all", "some"])
@pytest.mark.parametrize("dora", [False, True], ids=["lora", "dora"])
def test_the_adapter_is_counted_as_peft_makes_it(name: str, targets: list[str] | None, dora: bool) -> None:
    from peft import LoraConfig, get_peft_model

    from studio.training.estimate import lora_parameters

    config = CONFIGS[name]
    adapted = get_peft_model(built(config), LoraConfig(r=4, target_modules=targets or "all-linear", use_dora=dora,
                                                       task_type="CAUSAL_LM"), low_cpu_mem_usage=True)  # fmt: skip
    made = sum(parameter.numel() for key, parameter in adapted.named_parameters() if "lora_" in key)
    assert lora_parameters(read_anatomy(config).targets(targets), 4, dora=dora) == made


def test_what_a_published_config_leaves_out_is_the_family_s_default() -> None:
    text = {"hidden_size": 2560, "intermediate_size": 10_240, "num_hidden_layers": 34, "model_type": "gemma3_text"}
    whole = read_anatomy({"model_type": "gemma3", "text_config": text, "vision_config": {"hidden_size": 1152}})
    assert whole.parameters == 3_880_263_168  # Gemma-3-4B without what sees
    assert (whole.left_out, read_anatomy(text).left_out) == (("vision",), ())


def test_a_name_that_fits_no_layer_is_refused() -> None:
    anatomy: Anatomy = read_anatomy(LLAMA_2)
    assert [each.name for each in anatomy.targets(["up_proj"])] == ["mlp.up_proj"]
    for wrong in (["proj"], ["p_proj"], []):
        with pytest.raises(StudioError) as caught:
            anatomy.targets(wrong)
        assert caught.value.code == "training.bad_targets"


@pytest.mark.parametrize(
    ("config", "code"),
    [
        ({"model_type": "mamba"}, "estimate.unknown_family"),
        ({}, "estimate.unknown_family"),
        ({"model_type": "llama"}, "estimate.bad_config"),
        ({**LLAMA_2, "hidden_size": "wide"}, "estimate.bad_config"),
        ({**LLAMA_2, "num_attention_heads": 0}, "estimate.bad_config"),
    ],
)
def test_a_config_that_cannot_be_counted_is_refused(config: dict[str, Any], code: str) -> None:
    with pytest.raises(StudioError) as caught:
        read_anatomy(config)
    assert caught.value.code == code
