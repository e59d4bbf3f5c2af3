"""A folder that is not the merge of its run is found out, and the check that found it is named."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from studio.errors import StudioError
from studio.i18n import LOCALES, explain
from studio.models.files import ModelFiles
from studio.publish import proof
from studio.publish.pipeline import merge_run, verify_folder
from studio.settings import Settings
from studio.training.environment import base_hash
from tests.unit.publish.making import QUIET, TEXTS, load_weights, make_adapter, make_base, same


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
