"""A pack as the chat holds it, in peft's own model."""

from __future__ import annotations

from typing import Any

import torch


def rounded(model: Any) -> Any:
    """`model` with its LoRA matrices rounded to bf16 and computed in fp32."""
    for name, weight in model.named_parameters():
        if ".lora_A." in name or ".lora_B." in name:
            weight.data = weight.data.to(torch.bfloat16).float()
    return model
