"""The starter with 4,000 new tokens, three stages of training, and the adapter that plain peft makes of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from studio.data.starters import FOLDER, import_starter
from studio.models.files import locate
from studio.models.load import load_base
from studio.models.tokenizer import load_tokenizer
from studio.publish.peft_adapter import export_adapter
from studio.publish.record import check_record
from studio.recipes import dump_recipe, parse_recipe
from studio.settings import ASSETS, Settings
from studio.tokenizer.counting import blocks_of, count_words
from studio.tokenizer.embeddings import closed_form, tables_of
from studio.tokenizer.expand import Watch, learn
from studio.tokenizer.export import extend
from studio.tokenizer.families import read_family
from studio.tokenizer.rows import save_rows
from studio.tokenizer.scripts import find_script
from studio.tokenizer.vocabulary import write_vocabulary
from studio.training import curriculum, held_out

SIZE = 4000
STARTER = "starter:smollm2-135m"
STAGES = {"align": "sample-stories", "pretrain": "sample-prose", "instruct": "sample-chats"}
RECIPE = {
    "name": "three",
    "base": STARTER,
    "lora": {"rank": 4},
    "stages": [
        {"name": kind, "kind": kind, "data": [{"dataset": data}], "budget": {"steps": 2}, "batch": 1,
         "accumulation": 1, "length": 256, "rates": {"lora": 2e-3, "rows": 2e-3}}
        for kind, data in STAGES.items()
    ],
}  # fmt: skip


def quiet(share: float, note: str) -> None:
    """Tell nobody."""


def give_vocabulary(folder: Path, settings: Settings) -> None:
    """4,000 pieces of all the Persian that comes with the studio, each row the mean of what spelt it."""
    files = locate(STARTER, settings)
    family, script = read_family(files.folder), find_script()
    corpus = [line for path in (*FOLDER.glob("*.jsonl"), FOLDER / "prose.txt", ASSETS / "locales" / "fa.json")
              for line in path.read_text(encoding="utf8").splitlines()]  # fmt: skip
    counts = count_words(blocks_of(corpus), script.found.pattern)
    found = learn(family, counts, SIZE, script, Watch(quiet, lambda: False), reference=STARTER)
    assert found.added == SIZE
    write_vocabulary(family, found, folder, extend(family.definition, found.extension))
    model, _ = load_base(files, device="cpu", dtype=torch.bfloat16)
    rows = closed_form("mean", found, load_tokenizer(folder).get_vocab(True), tables_of(model), 0)
    save_rows(folder, rows, found)


def test_the_expanded_starter_is_loaded_by_plain_peft_after_three_stages(
    starter_settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(held_out, "SAMPLE_BYTES", {"fa": 300, "en": 300})
    settings, run = starter_settings, starter_settings.runs / "three-1"
    give_vocabulary(run / "vocabulary", settings)
    for name in STAGES.values():
        import_starter(name, settings.datasets, progress=quiet, stopping=lambda: False)
    recipe = parse_recipe(RECIPE)
    (run / "recipe.yaml").write_text(dump_recipe(recipe), encoding="utf8")
    trained = curriculum.train(
        run, recipe, locate(STARTER, settings), settings,
        record=lambda row: None, progress=quiet, stopping=lambda: False,
    )  # fmt: skip
    assert (trained.state, trained.steps) == ("done", 6)
    out = tmp_path / "adapter"
    found = export_adapter(
        locate("run:three-1", settings), out, settings=settings, progress=quiet, stopping=lambda: False
    )

    checks = check_record(out).checks
    assert (checks["new_tokens"], checks["resized_to"], checks["dtype"]) == (SIZE, 49_152 + SIZE, "float32")
    assert checks["logits_difference"] <= 1e-6
    assert 0 < checks["merged_difference"] <= 2e-5
    assert checks["peft_merges"] is True
    config = json.loads((out / "adapter_config.json").read_text(encoding="utf8"))
    assert config["base_model_name_or_path"] == "HuggingFaceTB/SmolLM2-135M-Instruct"
    assert "dequantised from Q4_1" in (out / "README.md").read_text(encoding="utf8")
    with safe_open(out / "adapter_model.safetensors", framework="pt") as file:
        rows = file.get_slice("base_model.model.model.embed_tokens.token_adapter.trainable_tokens_delta")
        assert rows.get_shape() == [SIZE, 576]
    assert found["bytes"] < 20_000_000, "the rows and a small adapter, no table"
