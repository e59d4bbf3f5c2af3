"""A merge of every kind of run is proved whole, and a folder that is not its run is found out by name."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from studio.errors import StudioError
from studio.i18n import LOCALES, explain
from studio.models.files import ROWS, ModelFiles
from studio.models.load import load_adapted
from studio.publish import proof, reload
from studio.publish.merge import merge
from studio.publish.pipeline import merge_run, verify_folder
from studio.publish.proof import Measured, prove
from studio.publish.verify import Reloaded, check_tensors
from studio.recipes import Lora
from studio.settings import Settings
from studio.training.adapter import add_adapter, save_adapter
from studio.training.base import load_frozen
from studio.training.environment import base_hash
from tests.tiny import SENTENCES, build_tiny
from tests.unit.publish.making import load_weights, make_adapter, make_base

QUIET: Any = {"progress": lambda share, note: None, "stopping": lambda: False}
TEXTS = list(SENTENCES[:6])


def same(files: ModelFiles, texts: Any, *, towards_base: float = 0.0, progress: Any, stopping: Any) -> Measured:
    """Measuring a tiny random model takes longer than the rest of a test."""
    return Measured(2.5, 100, (1, 2))


@pytest.fixture
def opened_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fresh process takes ten seconds to start: most tests run what it runs in their own."""

    def check(folder: Path, expected: Any) -> Reloaded:
        answer = reload.main(folder, expected)
        for name, reason in answer.pop("failed"):
            raise StudioError("publish.reload_failed", check=name, reason=reason)
        return Reloaded(**answer)

    monkeypatch.setattr(proof, "check_reload", check)


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

    config = text_config(
        Gemma3nTextConfig, num_hidden_layers=4, vocab_size_per_layer_input=512, hidden_size_per_layer_input=16,
        laurel_rank=8, num_kv_shared_layers=2, layer_types=["sliding_attention", "full_attention"] * 2,
        activation_sparsity_pattern=[0.0] * 4,
    )  # fmt: skip
    base = build_gemma(tmp_path / "base", config)
    adapt(base, tmp_path / "adapter")
    checks = proved(ModelFiles("run:x-1", "local:x", base, base, tmp_path / "adapter"), tmp_path / "out")
    assert checks["reload"]["architecture"] == "Gemma3nForCausalLM"
    assert checks["tensors"]["adapted"] > 4 * 7


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


@pytest.fixture(scope="module")
def merged(tmp_path_factory) -> tuple[ModelFiles, Path, Settings]:
    """A run of a workspace, with the hash of its base, and its merge."""
    workspace = tmp_path_factory.mktemp("workspace")
    base = make_base(workspace / "models" / "tiny")
    run = workspace / "runs" / "first-1"
    adapter = make_adapter(run / "stages" / "00-chat", base)
    (run / "environment.json").write_text(json.dumps({"base_sha256": base_hash(base)}))
    files = ModelFiles("run:first-1", "hub:a/tiny", base, base, adapter)
    out, settings = workspace / "exports" / "first-1", Settings(workspace)
    result = merge_run(files, out, TEXTS, settings=settings, towards_base=0.2, measure=same, **QUIET)
    assert result["checks"]["base"] == {"sha256": base_hash(base)}
    return files, out, settings


def refused(merged: tuple[ModelFiles, Path, Settings], folder: Path, **changed: Any) -> StudioError:
    files, _, settings = merged
    with pytest.raises(StudioError) as caught:
        verify_folder(changed.get("files", files), folder, TEXTS, settings=settings, measure=same, **QUIET)
    for locale in LOCALES:
        assert "{" not in explain(locale, caught.value)
    return caught.value


@pytest.mark.usefixtures("opened_here")
def test_a_whole_folder_passes_again_and_its_copy_without_a_record_does_not(merged, tmp_path) -> None:
    files, out, settings = merged
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    found = verify_folder(files, out, TEXTS, settings=settings, measure=same, **QUIET)
    assert found["checks"]["towards_base"] == 0.2
    assert found["checks"]["files"] == {"files": len(before) - 2}
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    copy = shutil.copytree(out, tmp_path / "copy")
    (copy / "export.json").unlink()
    error = refused(merged, copy)  # taken for a whole merge, which it is not
    assert (error.code, error.details["check"]) == ("publish.not_verified", "tensors")


def flip(folder: Path) -> None:
    weights = load_weights(folder)
    weights["model.norm.weight"].view(torch.int16)[17] ^= 1
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def rewrite(name: str, **fields: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        found = json.loads((folder / name).read_text(encoding="utf8"))
        (folder / name).write_text(json.dumps(found | fields), encoding="utf8")

    return change


def retemplate(folder: Path) -> None:
    file = folder / "chat_template.jinja"
    file.write_text(file.read_text(encoding="utf8").replace("assistant", "helper"), encoding="utf8")


@pytest.mark.parametrize(
    ("change", "check", "reason"),
    [
        (flip, "tensors", "unchanged"),
        (retemplate, "reload", "chat"),
        (rewrite("tokenizer_config.json", eos_token="<|endoftext|>"), "reload", "special_tokens"),
        (rewrite("config.json", rms_norm_eps=0.1), "reload", "base_config"),
        (rewrite("generation_config.json", temperature=0.3, do_sample=True), "reload", "base_generation"),
        (lambda folder: (folder / "LICENSE").write_text("other"), "files", "LICENSE"),
    ],
    ids=["bit", "template", "special", "config", "generation", "file"],
)
@pytest.mark.usefixtures("opened_here")
def test_the_failed_check_is_named(merged, tmp_path, change, check, reason) -> None:
    folder = shutil.copytree(merged[1], tmp_path / "copy")
    change(folder)
    error = refused(merged, folder)
    assert (error.code, error.details["check"], error.details["folder"]) == ("publish.not_verified", check, "copy")
    assert reason in error.details["reason"]


def test_a_folder_of_another_run_or_kind_is_refused(merged, tmp_path) -> None:
    files, out, _ = merged
    other = ModelFiles("run:second-1", files.base, files.folder, files.folder, files.adapter)
    assert refused(merged, out, files=other).code == "publish.of_another_run"
    copy = shutil.copytree(out, tmp_path / "copy")
    rewrite("export.json", kind="adapter")(copy)
    assert refused(merged, copy).code == "publish.not_merged"
    plain = ModelFiles("local:x", "local:x", files.folder, files.folder)
    assert refused(merged, out, files=plain).code == "publish.nothing_to_merge"


def test_a_base_that_changed_since_the_training_is_refused(merged, tmp_path) -> None:
    files, out, settings = merged
    kept = (files.folder / "model.safetensors").read_bytes()
    try:
        flip(files.folder)
        error = refused(merged, out)
        assert (error.code, error.details) == ("publish.base_changed", {"base": "hub:a/tiny"})
        with pytest.raises(StudioError, match=r"publish\.base_changed"):
            merge_run(files, tmp_path / "out", TEXTS, settings=settings, measure=same, **QUIET)
        assert list(tmp_path.iterdir()) == []
    finally:
        (files.folder / "model.safetensors").write_bytes(kept)


@pytest.mark.usefixtures("opened_here")
def test_a_large_model_is_not_held_in_fp32(merged, monkeypatch) -> None:
    files, out, settings = merged
    monkeypatch.setattr(proof, "LARGEST", 1000)
    found = verify_folder(files, out, TEXTS, settings=settings, measure=same, **QUIET)
    skipped = found["checks"]["logits"]
    assert (skipped["skipped"], skipped["largest"]) == ("larger", 1000)
    assert skipped["parameters"] > 1000


@pytest.mark.usefixtures("opened_here")
def test_logits_that_differ_are_found(merged, monkeypatch) -> None:
    from studio.models import load

    real = load.load_adapted

    def wrong(files: ModelFiles, **how: Any) -> Any:
        model, tokenizer = real(files, **how)
        model.base_model.model.model.layers[0].self_attn.q_proj.scaling["default"] *= 1.1
        return model, tokenizer

    monkeypatch.setattr(load, "load_adapted", wrong)
    error = refused(merged, merged[1])
    assert (error.code, error.details["check"]) == ("publish.not_verified", "logits")
