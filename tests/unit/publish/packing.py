"""Tiny runs of every kind that an adapter may be made of, with random LoRA matrices and rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file

from studio.models.files import ROWS, ModelFiles
from studio.models.load import load_base
from studio.models.new_rows import NewRows, place_rows
from studio.models.source import Origin, write_source
from studio.models.tokenizer import load_tokenizer
from studio.training.adapter import save_adapter
from studio.training.targets import find_targets
from tests.unit.tokenizer.expanded import expand
from tests.unit.training.tiny_families import build_family

REPOSITORY = "org/tiny"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def build_run(
    folder: Path, family: str, *, tokens: int = 0, whole: bool = False, lora: dict[str, Any] | None = None
) -> ModelFiles:
    """A base of `family` "from the Hub" and an adapter for it; with `tokens`, new ones and their rows.

    Args:
        folder: Gets ``base``, ``vocabulary`` and ``adapter``.
        family: One of `tests.unit.training.tiny_families`.
        tokens: New ones.
        whole: Whether the run's file holds rows of all ids, as of one that trained the whole tables.
        lora: More of peft's config.
    """
    base = build_family(family, folder / "base")
    (base / "LICENSE").write_text("Terms of the tiny base.\n")
    origins = [Origin(name=REPOSITORY, version=COMMIT)]
    write_source(base, reference=f"hub:{REPOSITORY}", original=REPOSITORY, licence="mit", note=None, origins=origins)
    vocabulary, adapter = base, folder / "adapter"
    adapter.mkdir()
    model, _ = load_base(ModelFiles("", "", base, base), device="cpu", dtype=torch.float32)
    torch.manual_seed(11)
    rows = None
    if tokens:
        vocabulary = folder / "vocabulary"
        expand(base, vocabulary, size=tokens)
        new = _new_rows(model, base, vocabulary)
        place_rows(model, new)
        rows = adapter / ROWS
        _save(_all_rows(model) if whole else new, rows)
    config = LoraConfig(
        **{"r": 4, "lora_alpha": 8, "target_modules": find_targets(model, "auto"), "task_type": "CAUSAL_LM"}
        | (lora or {})
    )
    adapted = get_peft_model(model, config)
    adapted.peft_config["default"].base_model_name_or_path = f"local:{base}"
    for name, weight in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight.data, std=0.05)
    save_adapter(adapted, adapter)
    return ModelFiles("run:tiny-1", f"hub:{REPOSITORY}", base, vocabulary, adapter, rows)


def _new_rows(model: Any, base: Path, vocabulary: Path) -> NewRows:
    old, new = (len(load_tokenizer(folder).get_vocab()) for folder in (base, vocabulary))
    embedding, head = model.get_input_embeddings().weight, model.get_output_embeddings().weight
    ids = torch.arange(old, new)
    made = [0.2 * torch.randn(len(ids), embedding.shape[1]) for _ in range(2)]
    return NewRows(ids, made[0], None if embedding.data_ptr() == head.data_ptr() else made[1])


def _all_rows(model: Any) -> NewRows:
    """All rows of tables that hold the new ones already, moved as a training of whole tables moves them."""
    embedding, head = model.get_input_embeddings().weight.detach(), model.get_output_embeddings().weight.detach()
    moved = [table + 0.05 * torch.randn_like(table) for table in (embedding, head)]
    return NewRows(
        torch.arange(len(embedding)), moved[0], None if embedding.data_ptr() == head.data_ptr() else moved[1]
    )


def _save(rows: NewRows, path: Path) -> None:
    tensors = {"ids": rows.ids, "input": rows.input, "output": rows.output}
    save_file({name: tensor for name, tensor in tensors.items() if tensor is not None}, path)
