from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from studio.errors import StudioError
from studio.models.files import (
    chat_template,
    document_start,
    fetched_folder,
    is_fetched,
    locate,
    locate_tokenizer,
    read_config,
)
from studio.models.reference import parse_reference
from studio.models.source import write_source
from studio.models.weights import weight_files
from studio.settings import Settings
from tests.tiny import CHAT_TEMPLATE, DOCUMENT_START

RECIPE = """name: first_steps
base: {base}
stages:
  - {{name: align, kind: align, data: [{{dataset: a}}], budget: {{steps: 1}}}}
  - {{name: chat, kind: instruct, data: [{{dataset: a}}], budget: {{steps: 1}}}}
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(tmp_path / "workspace")


@pytest.fixture
def model(tmp_path: Path, tiny_model: Path) -> Path:
    return shutil.copytree(tiny_model, tmp_path / "model")


def fails(code: str, reference: str, settings: Settings) -> StudioError:
    with pytest.raises(StudioError) as error:
        locate(reference, settings)
    assert error.value.code == code
    return error.value


def add_adapter(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("adapter_model.safetensors", "adapter_config.json"):
        (folder / name).write_bytes(b"{}")
    return folder


def add_run(settings: Settings, base: str, name: str = "first_steps-1") -> Path:
    run = settings.runs / name
    run.mkdir(parents=True)
    (run / "recipe.yaml").write_text(RECIPE.format(base=base), encoding="utf8")
    return run


def test_a_local_folder_is_found(model: Path, settings: Settings) -> None:
    found = locate(f"local:{model}", settings)
    assert (found.folder, found.tokenizer_folder, found.adapter) == (model, model, None)
    assert found.base == found.reference == f"local:{model}"
    assert read_config(model)["model_type"] == "llama"
    assert chat_template(model) == CHAT_TEMPLATE
    assert is_fetched(str(model), settings)


def test_missing_things_are_named(model: Path, tmp_path: Path, settings: Settings) -> None:
    fails("model.no_such_folder", f"local:{tmp_path / 'nowhere'}", settings)
    fails("model.not_fetched", "starter:smollm2-135m", settings)
    fails("model.not_fetched", "hub:org/name", settings)
    fails("model.no_such_starter", "starter:other", settings)
    fails("model.no_such_run", "run:first_steps-9", settings)
    (model / "config.json").unlink()
    fails("model.no_config", str(model), settings)
    (model / "config.json").write_text("{", encoding="utf8")
    fails("model.broken_file", str(model), settings)


def test_a_folder_without_weights_says_so(model: Path, settings: Settings) -> None:
    (model / "model.safetensors").unlink()
    fails("model.no_weights", str(model), settings)
    (model / "pytorch_model.bin").write_bytes(b"\x80")
    fails("model.only_pickle", str(model), settings)


def test_a_weight_file_that_broke_off_is_noticed(model: Path, settings: Settings) -> None:
    whole = (model / "model.safetensors").read_bytes()
    for length in (len(whole) - 1, 100, 5, 0):
        (model / "model.safetensors").write_bytes(whole[:length])
        assert fails("model.broken_file", str(model), settings).details["file"] == "model.safetensors"
    (model / "model.safetensors").write_bytes(b"<!DOCTYPE html>" + b" " * 200)
    fails("model.broken_file", str(model), settings)


def test_a_missing_shard_is_named(model: Path, settings: Settings) -> None:
    shards = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    (model / "model.safetensors").rename(model / shards["a"])
    (model / "model.safetensors.index.json").write_text(json.dumps({"weight_map": shards}), encoding="utf8")
    error = fails("model.missing_shard", str(model), settings)
    assert (error.details["file"], error.details["missing"]) == (shards["b"], 1)
    shutil.copy(model / shards["a"], model / shards["b"])
    assert [path.name for path in weight_files(model)] == sorted(shards.values())
    (model / "model.safetensors.index.json").write_text("[]", encoding="utf8")
    fails("model.broken_file", str(model), settings)


def test_tokenizer_files_alone_are_enough_for_a_tokenizer(model: Path, settings: Settings) -> None:
    for path in model.iterdir():
        if path.name != "tokenizer.json":
            path.unlink()
    assert locate_tokenizer(f"local:{model}", settings) == model
    (model / "tokenizer.json").unlink()
    with pytest.raises(StudioError, match=r"model\.no_tokenizer"):
        locate_tokenizer(f"local:{model}", settings)


def test_a_fetched_model_is_whole_or_not_there(model: Path, settings: Settings) -> None:
    reference = parse_reference("hub:org/name@v1")
    folder = fetched_folder(reference, settings)
    assert folder == settings.models / "hub--org--name--v1"
    shutil.copytree(model, folder)
    assert not is_fetched(str(reference), settings), "no source.json: it may be half"
    write_source(folder, reference=str(reference), original="org/name", licence=None, note=None, origins=[])
    assert is_fetched(str(reference), settings)
    assert locate(str(reference), settings).folder == folder
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    assert not is_fetched(str(reference), settings)
    fails("model.not_fetched", str(reference), settings)


def test_a_run_is_its_newest_finished_stage_else_its_newest_checkpoint(model: Path, settings: Settings) -> None:
    run = add_run(settings, f"local:{model}")
    fails("model.no_checkpoint", "run:first_steps-1", settings)
    early = add_adapter(run / "stages" / "00-align" / "checkpoints" / "step-000009")
    late = add_adapter(run / "stages" / "00-align" / "checkpoints" / "step-000020")
    (run / "stages" / "00-align" / "checkpoints" / "step-000030").mkdir()  # not whole
    found = locate("run:first_steps-1", settings)
    assert (found.adapter, found.base, found.folder) == (late, f"local:{model}", model)
    assert locate("run:first_steps-1@9", settings).adapter == early
    assert locate("run:first_steps-1/align@20", settings).adapter == late
    fails("model.no_checkpoint", "run:first_steps-1@30", settings)
    finished = add_adapter(run / "stages" / "00-align")
    add_adapter(run / "stages" / "01-chat" / "checkpoints" / "step-000005")
    assert locate("run:first_steps-1", settings).adapter == finished
    assert locate("run:first_steps-1/chat", settings).adapter is not None
    fails("model.no_such_stage", "run:first_steps-1/other", settings)
    assert is_fetched("run:first_steps-1", settings)


def test_a_runs_own_vocabulary_is_its_tokenizer(model: Path, settings: Settings) -> None:
    run = add_run(settings, f"local:{model}")
    add_adapter(run / "stages" / "00-align")
    assert locate_tokenizer("run:first_steps-1", settings) == model
    (run / "vocabulary").mkdir()
    shutil.copy(model / "tokenizer.json", run / "vocabulary")
    assert locate_tokenizer("run:first_steps-1", settings) == run / "vocabulary"
    assert locate("run:first_steps-1", settings).tokenizer_folder == run / "vocabulary"


def test_a_run_upon_a_run_is_refused(model: Path, settings: Settings) -> None:
    add_run(settings, f"local:{model}")
    second = add_run(settings, "run:first_steps-1", "first_steps-2")
    add_adapter(second / "stages" / "00-align")
    fails("model.base_is_run", "run:first_steps-2", settings)


def test_document_start_is_the_familys_then_bos_then_eos(model: Path) -> None:
    assert document_start(model) == DOCUMENT_START
    config = read_config(model)
    for change, expected in (
        ({"model_type": "gemma3_text", "bos_token_id": 7}, 7),
        ({"model_type": "other", "bos_token_id": None, "eos_token_id": [5, 6]}, 5),
        ({"model_type": "other", "bos_token_id": None, "eos_token_id": None}, None),
        ({"model_type": "qwen3", "bos_token_id": 3}, 3),  # its tokens are not at Qwen's ids
    ):
        (model / "config.json").write_text(json.dumps(config | change), encoding="utf8")
        assert document_start(model) == expected


def test_a_template_in_the_tokenizers_config_is_found(model: Path) -> None:
    (model / "chat_template.jinja").unlink()
    assert chat_template(model) is None
    for template in ("A", [{"name": "tool", "template": "B"}, {"name": "default", "template": "A"}]):
        (model / "tokenizer_config.json").write_text(json.dumps({"chat_template": template}), encoding="utf8")
        assert chat_template(model) == "A"
