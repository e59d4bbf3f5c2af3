from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from studio.errors import StudioError
from studio.models import load
from studio.models.files import ModelFiles
from studio.models.load import load_adapted, load_base, pick_device


def files(folder: Path, adapter: Path | None = None) -> ModelFiles:
    return ModelFiles("local:x", "local:x", folder, folder, adapter)


@pytest.fixture
def adapter(tiny_model: Path, tmp_path: Path) -> Path:
    from peft import LoraConfig, get_peft_model

    base, _ = load_base(files(tiny_model), device="cpu")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = get_peft_model(base, LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj", "down_proj"]))
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(weight, std=0.1)
    model.save_pretrained(tmp_path / "adapter")
    return tmp_path / "adapter"


def test_a_base_is_loaded_for_inference(tiny_model: Path) -> None:
    model, tokenizer = load_base(files(tiny_model))
    assert not model.training
    assert model.device.type == pick_device()
    assert model.config._attn_implementation == "sdpa"
    assert tokenizer.eos_token == "<|im_end|>"
    exact, _ = load_base(files(tiny_model), device="cpu", dtype=torch.float32)
    assert exact.dtype == torch.float32


def test_what_leaves_the_range_of_fp16_is_loaded_in_fp32(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Gemma on a card without bf16."""
    loud = shutil.copytree(tiny_model, tmp_path / "loud")
    weights = load_file(loud / "model.safetensors")
    stretched = {name: 10_000 * weight for name, weight in weights.items() if "up_proj" in name or "down_proj" in name}
    save_file(weights | stretched, loud / "model.safetensors", metadata={"format": "pt"})
    monkeypatch.setattr(load, "pick_dtype", lambda device: torch.float16)
    assert load_base(files(loud), device="cpu")[0].dtype == torch.float32
    assert load_base(files(tiny_model), device="cpu")[0].dtype == torch.float16
    assert load_base(files(loud), device="cpu", dtype=torch.float16)[0].dtype == torch.float16, "asked for"


def test_an_adapter_stays_beside_the_base_in_fp32(tiny_model: Path, adapter: Path) -> None:
    model, _ = load_adapted(files(tiny_model, adapter), device="cpu", dtype=torch.bfloat16)
    lora = {name: weight for name, weight in model.named_parameters() if "lora_" in name}
    assert lora
    assert {weight.dtype for weight in lora.values()} == {torch.float32}
    assert not any(weight.requires_grad for weight in model.parameters())
    ids = torch.arange(8)[None]
    with torch.inference_mode():
        adapted = model(ids).logits
        with model.disable_adapter():
            assert not torch.equal(model(ids).logits, adapted)


def test_what_cannot_be_loaded_says_so(tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(StudioError, match=r"model\.no_adapter"):
        load_adapted(files(tiny_model))
    strange = shutil.copytree(tiny_model, tmp_path / "strange")
    config = json.loads((strange / "config.json").read_text(encoding="utf8"))
    (strange / "config.json").write_text(json.dumps(config | {"model_type": "novel"}), encoding="utf8")
    with pytest.raises(StudioError) as error:
        load_base(files(strange))
    assert (error.value.code, error.value.details["type"]) == ("model.unknown_type", "novel")


def test_a_package_that_a_model_needs_is_named(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers import AutoModelForCausalLM

    def lacking(*args: object, **kwargs: object) -> None:
        raise ImportError("TimmWrapperModel requires the timm library\nbut it was not found.")

    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", lacking)
    with pytest.raises(StudioError) as caught:
        load_base(files(tiny_model))
    assert caught.value.code == "model.needs_package"
    assert caught.value.details["reason"] == "TimmWrapperModel requires the timm library but it was not found."
