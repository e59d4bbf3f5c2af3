"""Small bases of every kind that a merge may meet, and random adapters that fit them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from studio.models.files import ModelFiles
from studio.publish.proof import Measured
from tests.tiny import SENTENCES, build_tiny

QUIET: Any = {"progress": lambda share, note: None, "stopping": lambda: False}
TEXTS = list(SENTENCES[:6])

LINEAR = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj", "mlp.down_proj")


def make_base(folder: Path, *, tied: bool = True, dtype: str = "bfloat16", sharded: bool = False) -> Path:
    """The tiny model, with a head of its own, in another dtype or in several files if asked."""
    from transformers import AutoConfig, AutoModelForCausalLM

    build_tiny(folder)
    config = AutoConfig.from_pretrained(folder)
    config.tie_word_embeddings = tied
    torch.manual_seed(7)
    model = AutoModelForCausalLM.from_config(config).to(getattr(torch, dtype))
    (folder / "model.safetensors").unlink()
    generation = (folder / "generation_config.json").read_text()
    model.save_pretrained(folder, max_shard_size="120KB" if sharded else "5GB")
    (folder / "generation_config.json").write_text(generation)
    return folder


def make_adapter(
    folder: Path,
    base: Path,
    *,
    rank: int = 8,
    alpha: float = 16,
    rslora: bool = False,
    dora: bool = False,
    dtype: str = "float32",
    **more: Any,
) -> Path:
    """A random adapter in PEFT's format on five linear layers of each block; `more` goes into its config."""
    generator = torch.Generator().manual_seed(rank)
    patterns: dict[str, int] = more.get("rank_pattern", {})
    weights = {}
    for name, weight in load_weights(base).items():
        module = name.removesuffix(".weight")
        if module.endswith(LINEAR):
            own = next((value for key, value in patterns.items() if key in module), rank)
            for side, shape in (("A", (own, weight.shape[1])), ("B", (weight.shape[0], own))):
                values = torch.randn(shape, generator=generator) * 0.1
                weights[f"base_model.model.{module}.lora_{side}.weight"] = values.to(getattr(torch, dtype))
            if dora:
                lengths = weight.float().norm(dim=1) * (1 + 0.2 * torch.rand(len(weight), generator=generator))
                weights[f"base_model.model.{module}.lora_magnitude_vector"] = lengths.to(getattr(torch, dtype))
    folder.mkdir(parents=True, exist_ok=True)
    save_file(weights, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "r": rank,
        "lora_alpha": alpha,
        "use_rslora": rslora,
        "use_dora": dora,
        "target_modules": [part.rpartition(".")[2] for part in LINEAR],
    }
    (folder / "adapter_config.json").write_text(json.dumps(config | more))
    return folder


def load_weights(folder: Path) -> dict[str, torch.Tensor]:
    """All tensors of a model folder."""
    tensors = {}
    for path in sorted(folder.glob("model*.safetensors")):
        tensors |= load_file(path)
    return tensors


def same(files: ModelFiles, texts: Any, *, towards_base: float = 0.0, progress: Any, stopping: Any) -> Measured:
    """Measuring a tiny random model takes longer than the rest of a test."""
    return Measured(2.5, 100, (1, 2))
