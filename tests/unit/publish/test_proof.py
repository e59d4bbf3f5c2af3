"""A merge of every kind of run is proved whole, and a folder that is not its run is found out by name."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from studio.errors import StudioError
from studio.models.files import ROWS, ModelFiles
from studio.models.load import load_adapted
from studio.publish.merge import merge
from studio.publish.pipeline import merge_run
from studio.publish.proof import prove
from studio.publish.verify import check_tensors
from studio.recipes import Lora
from studio.settings import Settings
from studio.training.adapter import add_adapter, save_adapter
from studio.training.base import load_frozen
from tests.tiny import build_tiny
from tests.unit.publish.making import QUIET, TEXTS, load_weights, make_adapter, make_base, same

GEMMA3N: dict[str, Any] = {
    "num_hidden_layers": 4, "vocab_size_per_layer_input": 512, "hidden_size_per_layer_input": 16, "laurel_rank": 8,
    "num_kv_shared_layers": 2, "layer_types": ["sliding_attention", "full_attention"] * 2,
    "activation_sparsity_pattern": [0.0] * 4,
}  # fmt: skip


def proved(files: ModelFiles, out: Path, **how: Any) -> dict[str, Any]:
    made = {"dtype": "bfloat16", "towards_base": 0.0} | how
    merge(files.folder, files.adapter, out, rows=files.rows, tokenizer=files.tokenizer_folder, **made, **QUIET)
    return prove(files, out, TEXTS, measure=same, **made, **QUIET)


def adapt(base: Path, adapter: Path, *, quantisation: Any = "none", dora: bool = False) -> None:
    """A random adapter as a training leaves it."""
    files = ModelFiles("local:x", "local:x", base, base)
    model, _ = load_frozen(files, device="cpu", dtype=torch.float32, quantisation=quantisation)
    adapted = add_adapter(model, Lora(rank=4, alpha=8, dora=dora), "base", 0)
    torch.manual_seed(3)
    for name, parameter in adapted.named_parameters():
        if "lora_B" in name:
            parameter.data.normal_(std=0.05)
    adapter.mkdir(parents=True)
    save_adapter(adapted, adapter)


def build_gemma(folder: Path, config: Any) -> Path:
    """A random model of `config` with the tiny tokenizer."""
    from transformers import AutoModelForCausalLM

    build_tiny(folder)
    for name in ("model.safetensors", "config.json", "generation_config.json"):
        (folder / name).unlink()
    torch.manual_seed(2)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    return folder


def text_config(kind: Any, **more: Any) -> Any:
    return kind(
        vocab_size=512, hidden_size=64, intermediate_size=128, num_attention_heads=4, num_key_value_heads=2,
        head_dim=16, sliding_window=64, bos_token_id=1, eos_token_id=2, pad_token_id=2, **more,
    )  # fmt: skip


def test_a_language_model_among_pictures_is_merged_where_it_lies(tmp_path) -> None:
    from transformers import AutoModelForCausalLM, Gemma3Config, Gemma3TextConfig, SiglipVisionConfig

    vision = SiglipVisionConfig(
        hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2, image_size=28, patch_size=14
    )
    text = text_config(Gemma3TextConfig, num_hidden_layers=2)
    base = build_gemma(tmp_path / "base", Gemma3Config(text_config=text, vision_config=vision, mm_tokens_per_image=4))
    (base / "preprocessor_config.json").write_text("{}")
    adapt(base, tmp_path / "adapter")
    files = ModelFiles("run:x-1", "local:x", base, base, tmp_path / "adapter")

    checks = proved(files, tmp_path / "out", dtype="float32")

    assert checks["logits"]["difference"] < 1e-4
    assert checks["reload"]["architecture"] == "Gemma3ForConditionalGeneration"
    assert (tmp_path / "out" / "preprocessor_config.json").is_file()
    old, new = load_weights(base), load_weights(tmp_path / "out")
    changed = {name for name in old if not torch.equal(old[name], new[name])}
    assert len(changed) == checks["tensors"]["adapted"] == 14
    assert all(name.startswith("language_model.model.layers.") for name in changed)
    assert any(name.startswith("vision_tower.") for name in old)
    ids = torch.arange(8, 40)[None]
    with torch.inference_mode():
        unmerged = load_adapted(files, device="cpu", dtype=torch.float32)[0](input_ids=ids).logits
        merged = AutoModelForCausalLM.from_pretrained(tmp_path / "out")(input_ids=ids).logits
    assert (merged - unmerged).abs().max() < 1e-4


@pytest.mark.usefixtures("opened_here")
def test_gemma_3n_is_merged_too(tmp_path) -> None:
    from transformers import Gemma3nTextConfig

    base = build_gemma(tmp_path / "base", text_config(Gemma3nTextConfig, **GEMMA3N))
    adapt(base, tmp_path / "adapter")
    checks = proved(ModelFiles("run:x-1", "local:x", base, base, tmp_path / "adapter"), tmp_path / "out")
    assert checks["reload"]["architecture"] == "Gemma3nForCausalLM"
    assert checks["tensors"]["adapted"] > 4 * 7


@pytest.mark.usefixtures("opened_here")
def test_gemma_3n_keeps_what_sees_and_hears(tmp_path) -> None:
    pytest.importorskip("timm", reason="pip install -r requirements-gemma3n.txt")
    from transformers import Gemma3nAudioConfig, Gemma3nConfig, Gemma3nTextConfig, Gemma3nVisionConfig

    text = text_config(Gemma3nTextConfig, **GEMMA3N)
    audio = Gemma3nAudioConfig(
        hidden_size=64, conf_num_hidden_layers=1, conf_num_attention_heads=2, vocab_size=8, vocab_offset=504
    )
    vision = Gemma3nVisionConfig(vocab_size=8, vocab_offset=496)
    base = build_gemma(tmp_path / "base", Gemma3nConfig(text_config=text, audio_config=audio, vision_config=vision))
    adapt(base, tmp_path / "adapter")
    files = ModelFiles("run:x-1", "local:x", base, base, tmp_path / "adapter")
    checks = proved(files, tmp_path / "out", dtype="float32")
    assert checks["reload"]["architecture"] == "Gemma3nForConditionalGeneration"
    assert checks["logits"]["difference"] < 1e-4
    old, new = load_weights(base), load_weights(tmp_path / "out")
    assert {name.split(".")[1] for name in old} > {"language_model", "vision_tower", "audio_tower"}
    changed = {name for name in old if not torch.equal(old[name], new[name])}
    assert len(changed) == checks["tensors"]["adapted"]
    assert all(name.startswith("model.language_model.") for name in changed)


@pytest.mark.parametrize("dora", [False, True], ids=["lora", "dora"])
@pytest.mark.usefixtures("opened_here")
def test_a_run_in_four_bits_is_merged_into_the_base_as_it_was(tmp_path, dora) -> None:
    bitsandbytes = pytest.importorskip("bitsandbytes")
    base = build_tiny(tmp_path / "base")
    adapt(base, tmp_path / "adapter", quantisation="nf4", dora=dora)
    files = ModelFiles("run:x-1", "local:x", base, base, tmp_path / "adapter")
    model, _ = load_adapted(files, device="cpu")
    assert not any(isinstance(module, bitsandbytes.nn.Linear4bit) for module in model.modules())
    result = merge_run(files, tmp_path / "out", TEXTS, settings=Settings(tmp_path), **QUIET)
    checks = result["checks"]
    assert checks["logits"]["difference"] < 1e-4
    assert checks["bits_per_byte"]["after"] == pytest.approx(checks["bits_per_byte"]["before"], rel=0.005)
    assert checks["top1"]["agreement"] > 0.9
    assert checks["base"] == {"skipped": "unknown"}, "no run of this workspace"


@pytest.fixture(scope="module")
def grown(tmp_path_factory) -> ModelFiles:
    """A run with sixteen tokens of its own: its rows and adapter, all random."""
    from studio.models.new_rows import table_length

    folder = tmp_path_factory.mktemp("grown")
    base = make_base(folder / "base", tied=False)
    tokenizer = folder / "vocabulary"
    tokenizer.mkdir()
    for path in base.glob("*token*"):
        shutil.copy(path, tokenizer)
    shutil.copy(base / "chat_template.jinja", tokenizer)
    stage = make_adapter(folder / "stage", base)
    assert table_length(512, 528) == 576
    generator = torch.Generator().manual_seed(1)
    rows = {side: torch.randn(16, 64, generator=generator) for side in ("input", "output")}
    save_file({**rows, "ids": torch.arange(512, 528)}, stage / ROWS)
    return ModelFiles("run:grown-1", "local:x", base, tokenizer, stage, stage / ROWS)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32"])
@pytest.mark.usefixtures("opened_here")
def test_new_rows_are_written_as_they_were_trained(grown, tmp_path, dtype) -> None:
    checks = proved(grown, tmp_path / "out", dtype=dtype, towards_base=0.5)
    assert (checks["reload"]["rows"], checks["tensors"]["tables"]) == (576, 2)
    new, rows = load_weights(tmp_path / "out"), load_file(grown.rows)
    target = getattr(torch, dtype)
    for name, own in (("model.embed_tokens.weight", "input"), ("lm_head.weight", "output")):
        assert torch.equal(new[name][512:528], rows[own].to(target)), "all of their precision, and no way back"
        assert torch.equal(new[name][:512], load_weights(grown.folder)[name].to(target))
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["vocab_size"] == 576


@pytest.mark.parametrize("row", [3, 515, 540], ids=["old", "new", "idle"])
def test_a_changed_row_is_found(grown, tmp_path, row) -> None:
    out = tmp_path / "out"
    merge(grown.folder, grown.adapter, out, rows=grown.rows, tokenizer=grown.tokenizer_folder, **QUIET)
    assert check_tensors(grown.folder, grown.adapter, out, rows=grown.rows).tables == 2
    weights = load_weights(out)
    weights["lm_head.weight"][row, 7] += 0.5
    save_file(weights, out / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(StudioError) as caught:
        check_tensors(grown.folder, grown.adapter, out, rows=grown.rows)
    assert caught.value.details == {"check": "rows", "tensor": "lm_head.weight"}
