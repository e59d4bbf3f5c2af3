"""The LoRA adapter: put on a frozen base, saved in peft's own form, read back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict
from safetensors.torch import load_file, save_file

from studio.errors import StudioError
from studio.recipes import Lora
from studio.training.checkpoints import WEIGHTS
from studio.training.targets import find_targets


def add_adapter(model: Any, lora: Lora, base: str, seed: int) -> PeftModel:
    """`model` frozen, with fresh LoRA matrices in fp32 on the linear layers of its language model.

    bf16 matrices would lose most updates of a late schedule: an update of 2e-5 vanishes in 70% of them.

    Args:
        model: A causal language model; its own weights get ``requires_grad=False``.
        lora: Rank, alpha, dropout and targets.
        base: Reference written into the adapter's configuration.
        seed: Of the random A matrices; B starts at zero.

    Raises:
        StudioError: ``training.bad_targets`` if `lora.targets` names no layer of this model.
    """
    torch.manual_seed(seed)
    config = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,  # peft divides by it: a fraction is as good as an int
        lora_dropout=lora.dropout,
        target_modules=find_targets(model, lora.targets),
        use_rslora=lora.rslora,
        use_dora=lora.dora,
        bias="none",
        task_type="CAUSAL_LM",
    )
    try:
        adapted = get_peft_model(model, config, autocast_adapter_dtype=True)
    except ValueError as error:
        raise StudioError("training.bad_targets", targets=str(lora.targets)) from error
    assert isinstance(adapted, PeftModel)
    adapted.peft_config["default"].base_model_name_or_path = base
    for name, parameter in adapted.named_parameters():
        if parameter.requires_grad:
            assert "lora_" in name, name
            parameter.data = parameter.data.float()
    return adapted


def save_adapter(model: PeftModel, folder: Path) -> None:
    """Write ``adapter_model.safetensors`` and ``adapter_config.json`` into `folder`, and nothing else."""
    # Not `save_pretrained`: that asks a hub whether the base's vocabulary grew, and writes a model card.
    state = get_peft_model_state_dict(model, save_embedding_layers=False)
    save_file({name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}, folder / WEIGHTS)
    config = model.peft_config["default"]
    training, config.inference_mode = config.inference_mode, True
    config.save_pretrained(str(folder))
    config.inference_mode = training


def load_adapter(model: PeftModel, folder: Path) -> None:
    """Put the matrices saved in `folder` into `model`, which already carries an adapter of the same form."""
    result = set_peft_model_state_dict(model, load_file(folder / WEIGHTS))
    assert not result.unexpected_keys, result.unexpected_keys
