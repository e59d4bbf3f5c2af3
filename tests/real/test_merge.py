"""The starter with a small random adapter, through the whole merge job, measured with the real model."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from studio.models.files import ModelFiles
from studio.publish.pipeline import merge_run
from studio.settings import Settings

TEXTS = [
    "باران تمام شب باریده بود و صبح، کوچه بوی خاک تازه می‌داد.",
    "پدربزرگ می‌گفت هر درختی که می‌کاریم، سایه‌اش را به کسی می‌دهیم که هنوز نمی‌شناسیم.",
]


def make_adapter(base: Path, folder: Path) -> Path:
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(5)
    lora = LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj", "down_proj"], task_type="CAUSAL_LM")
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32), lora)
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight.data, std=0.003)
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def files(starter: Path, tmp_path_factory) -> ModelFiles:
    adapter = make_adapter(starter, tmp_path_factory.mktemp("real") / "adapter")
    return ModelFiles("run:random-1", "starter:smollm2-135m", starter, starter, adapter)


def test_starter_is_merged_and_proved(files, tmp_path) -> None:
    result = merge_run(
        files,
        tmp_path / "merged",
        TEXTS,
        settings=Settings(tmp_path / "workspace"),
        progress=lambda share, note: None,
        stopping=lambda: False,
    )

    assert result["tensors_checked"] == 272
    assert result["bits_per_byte_after"] == pytest.approx(result["bits_per_byte_before"], rel=0.005)
    checks = result["checks"]
    assert 0 < checks["logits"]["difference"] < 1e-4
    assert checks["logits"]["parameters"] > 134_000_000
    assert checks["top1"]["agreement"] > 0.95
    assert checks["reload"]["rows"] == 49_152
    assert "dequantised from Q4_1" in (tmp_path / "merged" / "README.md").read_text(encoding="utf8")
    old, new = (load_file(folder / "model.safetensors") for folder in (files.folder, tmp_path / "merged"))
    lora = load_file(files.adapter / "adapter_model.safetensors")
    changed = 0
    for name, weight in old.items():
        key = f"base_model.model.{name.removesuffix('weight')}lora_"
        if key + "A.weight" in lora:
            weight = weight.float() + 2.0 * (lora[key + "B.weight"].float() @ lora[key + "A.weight"].float())
            changed += 1
        assert torch.equal(weight.to(torch.bfloat16), new[name]), name
    assert changed == 60
    shutil.rmtree(tmp_path / "merged")
