"""A run as an adapter that plain peft and plain transformers load, for every layout of tables; or nothing."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections import namedtuple
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import AutoPeftModelForCausalLM
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from studio.errors import StudioError
from studio.jobs.events import Stopping
from studio.models.files import ModelFiles
from studio.models.load import load_adapted
from studio.publish import adapter_reload, peft_adapter
from studio.publish.adapter_check import Matched, look
from studio.publish.cards.adapter_card import adapter_facts
from studio.publish.cards.card import BaseFacts, CardFacts, write_card
from studio.publish.cards.snippets import peft_snippet
from studio.publish.peft_adapter import export_adapter
from studio.publish.record import check_record
from studio.settings import Settings
from tests.unit.publish.packing import COMMIT, REPOSITORY, build_run
from tests.unit.training.tiny_families import FAMILIES, Family

TEXT = "باران تمام شب باریده بود. It rained."
PATTERNS = {"rank_pattern": {"q_proj": 2}, "alpha_pattern": {"layers.1.mlp.down_proj": 3}, "use_rslora": True}


def pack(files: ModelFiles, out: Path) -> dict[str, Any]:
    seen: list[float] = []

    def progress(share: float, note: str) -> None:
        assert note.startswith("progress.")
        seen.append(share)

    found = export_adapter(
        files, out, settings=Settings(out.parent / "workspace"), progress=progress, stopping=lambda: False
    )
    assert seen == sorted(seen)
    assert {path.name for path in out.parent.iterdir() if path.name.startswith(".")} == set()
    return found


def check_inside(base: Path, adapter: Path, expected: Path, *, stopping: Stopping) -> Matched:
    """The check as it is, without the seconds that a fresh process takes to import its libraries."""
    answer = adapter_reload.main(base, adapter, expected)
    assert answer.pop("failed") == []
    return Matched(**answer)


@pytest.fixture(scope="module")
def tied(tmp_path_factory: pytest.TempPathFactory) -> ModelFiles:
    return build_run(tmp_path_factory.mktemp("tied"), "smollm2", tokens=60)


@pytest.fixture(scope="module")
def packed(tied: ModelFiles, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("packed") / "سازگار"
    pack(tied, out)
    return out


# Family, new tokens, whole tables, more of the config; then tables in the file and the length that they grow to.
@pytest.mark.parametrize(
    ("family", "tokens", "whole", "lora", "tables", "length"),
    [
        ("smollm2", 0, False, PATTERNS, 0, None),
        ("llama2", 0, False, {"use_dora": True}, 0, None),
        ("llama2", 60, False, PATTERNS, 2, 480),
        ("llama2", 60, True, None, 2, 480),
        ("gemma3_text", 0, False, None, 0, None),
        ("gemma3_text", 60, False, None, 1, None),
        ("gemma3", 80, False, {"use_dora": True}, 1, 500),
    ],
    ids=["tied-patterns", "untied-dora", "untied-rows", "untied-whole", "padded", "padded-rows", "pictures-rows-dora"],
)
def test_every_layout_is_loaded_by_plain_peft_with_the_same_logits(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    family: str,
    tokens: int,
    whole: bool,
    lora: dict[str, Any] | None,
    tables: int,
    length: int | None,
) -> None:
    monkeypatch.setattr(peft_adapter, "check_adapter", check_inside)
    files = build_run(tmp_path / "run", family, tokens=tokens, whole=whole, lora=lora)
    out = tmp_path / "out"
    found = pack(files, out)

    checks = found["checks"]
    assert checks["logits_difference"] <= 1e-6
    assert checks["merged_difference"] <= 1e-5
    assert (checks["peft_merges"], checks["dtype"], checks["resized_to"]) == (True, "float32", length)
    assert found["files"] == sorted(path.name for path in out.iterdir())
    assert found["bytes"] == sum(path.stat().st_size for path in out.iterdir())
    weights = load_file(out / "adapter_model.safetensors")
    assert sum(name.endswith("trainable_tokens_delta") for name in weights) == tables
    assert {weight.dtype for weight in weights.values()} == {torch.float32}
    assert files.adapter is not None
    for name, weight in load_file(files.adapter / "adapter_model.safetensors").items():
        assert torch.equal(weights[name], weight), name
    config = json.loads((out / "adapter_config.json").read_text(encoding="utf8"))
    assert len(config["trainable_token_indices"] or {}) == tables
    assert config["rank_pattern"] == (lora or {}).get("rank_pattern", {})


def test_transformers_alone_and_the_automatic_class_of_peft_load_it_too(
    tied: ModelFiles, packed: Path, tmp_path: Path
) -> None:
    adapted, tokenizer = load_adapted(tied, device="cpu", dtype=torch.float32)
    inputs = tokenizer(TEXT, return_tensors="pt")
    with torch.inference_mode():
        wanted = adapted(input_ids=inputs["input_ids"]).logits
    model = AutoModelForCausalLM.from_pretrained(tied.folder, dtype=torch.float32)
    model.resize_token_embeddings(520, mean_resizing=False)
    model.load_adapter(str(packed))
    # As for a base on the Hub: the class of peft finds it by its name and makes its tables longer by itself.
    local = shutil.copytree(packed, tmp_path / "local")
    config = json.loads((local / "adapter_config.json").read_text(encoding="utf8"))
    config |= {"base_model_name_or_path": str(tied.folder), "revision": None}
    (local / "adapter_config.json").write_text(json.dumps(config))
    found = AutoTokenizer.from_pretrained(packed)(TEXT, return_tensors="pt")["input_ids"]
    assert torch.equal(found, inputs["input_ids"])
    assert int(found.max()) >= 460, "the sentence holds no new token"
    for each in (model, AutoPeftModelForCausalLM.from_pretrained(local, dtype=torch.float32)):
        with torch.inference_mode():
            logits = each(input_ids=found).logits
        assert logits.shape[-1] == 520
        assert torch.equal(logits, wanted[..., :520])


def test_the_folder_names_its_base_and_shows_no_path(tied: ModelFiles, packed: Path) -> None:
    config = json.loads((packed / "adapter_config.json").read_text(encoding="utf8"))
    assert (config["base_model_name_or_path"], config["revision"]) == (REPOSITORY, COMMIT)
    assert list(config["trainable_token_indices"]) == ["model.embed_tokens"]
    assert config["trainable_token_indices"]["model.embed_tokens"] == list(range(460, 520))
    assert (packed / "LICENSE").read_text() == "Terms of the tiny base.\n"
    assert (packed / "chat_template.jinja").is_file()
    record = check_record(packed)
    assert (record.kind, record.run, record.base) == ("adapter", "run:tiny-1", f"hub:{REPOSITORY}")
    assert record.checks["new_tokens"] == 60
    card = (packed / "README.md").read_text(encoding="utf8")
    assert "library_name: peft\n" in card
    assert f"license: mit\nbase_model: {REPOSITORY}\nbase_model_relation: adapter\n" in card
    assert record.files["adapter_model.safetensors"].sha256 in card
    for path in packed.iterdir():
        assert str(tied.folder.parent).encode() not in path.read_bytes(), path.name


def test_a_base_of_unknown_origin_is_named_by_no_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peft_adapter, "check_adapter", check_inside)
    files = build_run(tmp_path / "run", "smollm2")
    (files.folder / "source.json").unlink()
    pack(replace(files, base=f"local:{files.folder}"), tmp_path / "out")
    config = json.loads((tmp_path / "out" / "adapter_config.json").read_text(encoding="utf8"))
    assert (config["base_model_name_or_path"], config["revision"]) == (None, None)
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf8")
    assert str(tmp_path) not in card
    assert "base_model:" not in card
    assert 'base, adapter = "base", "out"' in card


def test_the_program_of_the_card_runs_as_written(tied: ModelFiles, packed: Path, tmp_path: Path) -> None:
    programs = re.findall(r"```python\n(.*?)```", (packed / "README.md").read_text(encoding="utf8"), re.DOTALL)
    assert programs[0] == programs[1]
    written = peft_snippet(packed.name, 520, True, base=REPOSITORY, revision=COMMIT)
    assert programs[0] == written.text + "\n"
    (tmp_path / REPOSITORY).parent.mkdir()
    (tmp_path / REPOSITORY).symlink_to(tied.folder)
    (tmp_path / packed.name).symlink_to(packed)
    ran = subprocess.run(
        [sys.executable, "-c", programs[0]],
        cwd=tmp_path,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip()


def test_new_rows_beside_a_head_with_a_bias_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FAMILIES, "phi", Family("PhiConfig", "gpt2", {"tie_word_embeddings": False}, frozenset()))
    monkeypatch.setattr(peft_adapter, "check_adapter", check_inside)
    plain, extended = (build_run(tmp_path / f"run-{tokens}", "phi", tokens=tokens) for tokens in (0, 60))
    assert pack(plain, tmp_path / "plain")["checks"]["peft_merges"]
    with pytest.raises(StudioError, match=r"publish\.adapter_head_bias"):
        pack(extended, tmp_path / "extended")
    assert not (tmp_path / "extended").exists()


def test_an_adapter_that_answers_otherwise_is_discarded(
    tied: ModelFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def off_by_one(tensors: dict[str, torch.Tensor], path: Path, metadata: dict[str, str]) -> None:
        key = next(name for name in tensors if name.endswith("trainable_tokens_delta"))
        save_file(tensors | {key: tensors[key].roll(1, 0)}, path, metadata=metadata)

    monkeypatch.setattr(peft_adapter, "save_file", off_by_one)
    with pytest.raises(StudioError, match=r"publish\.adapter_reload_failed") as caught:
        pack(tied, tmp_path / "out")
    assert caught.value.details["check"] == "logits"
    assert not list(tmp_path.iterdir())


def test_the_check_sees_what_is_not_the_run(tied: ModelFiles, packed: Path, tmp_path: Path) -> None:
    expected = tmp_path / "expected"
    none = torch.empty(0, dtype=torch.int64)
    look(tied, expected, ids=torch.arange(460, 520), gap=none, longer=520)

    def failed_with(change: Callable[[Path], object]) -> set[str]:
        copy = shutil.copytree(packed, tmp_path / "copy")
        change(copy)
        found = adapter_reload.main(tied.folder, copy, expected)["failed"]
        shutil.rmtree(copy)
        return {check for check, _ in found}

    def lose_a_matrix(folder: Path) -> None:
        weights = load_file(folder / "adapter_model.safetensors")
        weights.pop(next(name for name in weights if "lora_B" in name))
        save_file(weights, folder / "adapter_model.safetensors")

    def spoil(folder: Path) -> None:
        weights = load_file(folder / "adapter_model.safetensors")
        next(iter(weights.values()))[0, 0] = torch.nan
        save_file(weights, folder / "adapter_model.safetensors")

    assert failed_with(lambda copy: None) == set()
    assert failed_with(lambda copy: shutil.copy(tied.folder / "tokenizer.json", copy)) == {"tokenizer"}
    assert failed_with(lambda copy: (copy / "chat_template.jinja").write_text("hello")) == {"template"}
    assert failed_with(lose_a_matrix) == {"logits"}
    assert failed_with(spoil) == {"logits"}


@pytest.mark.parametrize(
    ("merges", "sentence"),
    [(True, "gives the same model"), (False, "Do not merge this adapter with peft"), (None, "was not checked")],
)
def test_the_card_says_whether_peft_may_merge(merges: bool | None, sentence: str) -> None:
    checks = {"new_tokens": 4000, "texts": 4, "tokens": 90, "dtype": "float32", "logits_difference": 1e-7,
              "merged_difference": 2e-6, "peft_merges": merges, "transformers": "5.23", "peft": "0.21"}  # fmt: skip
    base = BaseFacts("starter:tiny", "org/tiny", "gemma", "Q4_1")
    facts = CardFacts("مدل", "float32", False, base, None, (), weights=(("a.safetensors", "00ff"),), kind="adapter")
    card = write_card(adapter_facts(facts, checks, 4520, None))
    assert sentence in card
    assert "4,000 tokens" in card
    assert "۴٬۰۰۰ توکن" in card
    assert "Q4_1" in card
    assert "یکی بود، یکی نبود" in card
    assert "license: gemma\n" in card


def test_what_cannot_be_packed_leaves_nothing(
    tied: ModelFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    assert tied.adapter is not None
    broken, empty, full = tmp_path / "broken", tmp_path / "empty", tmp_path / "full"
    shutil.copytree(tied.adapter, broken)
    (broken / "adapter_model.safetensors").write_bytes(b"nothing")
    full.mkdir()
    (full / "mine.txt").write_text("keep")
    empty.mkdir()
    for code, files, target in (
        ("publish.nothing_to_pack", replace(tied, adapter=None), out),
        ("publish.no_adapter", replace(tied, adapter=empty), out),
        ("publish.adapter_broken", replace(tied, adapter=broken), out),
        ("rows.missing", replace(tied, rows=empty / "new_rows.safetensors"), out),
        ("publish.out_exists", tied, full),
    ):
        with pytest.raises(StudioError) as caught:
            pack(files, target)
        assert caught.value.code == code
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(100, 90, 10))
    with pytest.raises(StudioError, match=r"disk\.too_small"):
        pack(tied, out)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["broken", "empty", "full"]
