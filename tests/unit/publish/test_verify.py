"""The checks find one wrong bit, a weight too many or too few, and a folder that transformers opens differently."""

from __future__ import annotations

import ast
import json
import math
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from studio.errors import StudioError
from studio.publish import logits, recomputed, reload, verify
from studio.publish.merge import merge
from studio.publish.verify import check_bits, check_reload, check_tensors
from tests.unit.publish.making import make_adapter, make_base

ADAPTED, UNCHANGED = "model.layers.1.self_attn.k_proj.weight", "model.norm.weight"


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("verify")
    base = make_base(folder / "base", tied=False)
    adapter = make_adapter(folder / "adapter", base)
    merge(base, adapter, folder / "out", progress=lambda share, note: None, stopping=lambda: False)
    return folder


@pytest.fixture
def merged(made, tmp_path) -> Path:
    return shutil.copytree(made / "out", tmp_path / "out")


def failure(made: Path, merged: Path) -> dict[str, str]:
    with pytest.raises(StudioError) as caught:
        check_tensors(made / "base", made / "adapter", merged)
    assert caught.value.code == "publish.verify_failed"
    return caught.value.details


@pytest.mark.parametrize(("name", "check"), [(ADAPTED, "adapted"), (UNCHANGED, "unchanged")])
def test_one_flipped_bit_is_found(made, merged, name, check) -> None:
    weights = load_file(merged / "model.safetensors")
    weights[name].view(torch.int16).view(-1)[17] ^= 1
    save_file(weights, merged / "model.safetensors", metadata={"format": "pt"})
    assert failure(made, merged) == {"check": check, "tensor": name}


def test_changed_set_type_or_shape_is_found(made, merged) -> None:
    file = merged / "model.safetensors"
    weights = load_file(file)
    changes = {
        "missing": {name: weight for name, weight in weights.items() if name != UNCHANGED},
        "extra": weights | {"model.another.weight": torch.zeros(2)},
        "dtype": weights | {UNCHANGED: weights[UNCHANGED].half()},
        "shape": weights | {UNCHANGED: weights[UNCHANGED].reshape(8, 8)},
    }
    for check, changed in changes.items():
        save_file(changed, file)
        assert failure(made, merged)["check"] == check
    file.write_bytes(b"\x08\0\0\0\0\0\0\0{}")
    assert failure(made, merged)["check"] in ("readable", "missing")
    file.unlink()
    assert failure(made, merged)["check"] == "readable"


def test_wrong_scale_is_found(made, merged, tmp_path) -> None:
    adapter = shutil.copytree(made / "adapter", tmp_path / "adapter")
    config = json.loads((adapter / "adapter_config.json").read_text())
    (adapter / "adapter_config.json").write_text(json.dumps(config | {"lora_alpha": config["lora_alpha"] * 1.001}))
    with pytest.raises(StudioError, match="adapted"):
        check_tensors(made / "base", adapter, merged)


def test_threads_are_given_back(made) -> None:
    before = torch.get_num_threads()
    check_tensors(made / "base", made / "adapter", made / "out")
    assert torch.get_num_threads() == before


def test_checks_share_no_code_with_the_merge() -> None:
    imported = set()
    for module in (verify, reload, recomputed, logits):
        for node in ast.walk(ast.parse(Path(module.__file__).read_text(encoding="utf8"))):
            if isinstance(node, ast.ImportFrom):
                imported.add(node.module)
            elif isinstance(node, ast.Import):
                imported |= {name.name for name in node.names}
    shared = {"studio.errors", "studio.jobs.events"}
    own = {"studio.publish", "studio.publish.recomputed"}  # of the first, `reload` alone
    assert {name for name in imported if name.startswith("studio")} == shared | own


def test_plain_transformers_opens_the_folder(made) -> None:
    seen = check_reload(made / "out")
    assert (seen.architecture, seen.rows, seen.vocabulary) == ("LlamaForCausalLM", 512, 512)
    assert seen.template
    assert not seen.tied


def test_folder_that_lies_about_itself_is_found(made, merged) -> None:
    # In this process, by the function that the fresh process runs: starting one for each lie takes ten seconds.
    def failed() -> set[str]:
        return {check for check, _ in reload.main(merged)["failed"]}

    assert failed() == set()
    generation = json.loads((merged / "generation_config.json").read_text())
    (merged / "generation_config.json").write_text(json.dumps(generation | {"eos_token_id": [2, 600]}))
    (merged / "chat_template.jinja").write_text("{{ raise_exception('no') }}")
    weights = load_file(merged / "model.safetensors")
    save_file({name: weights[name] for name in weights if name != ADAPTED}, merged / "model.safetensors")
    assert failed() == {"generation", "template", "weights"}


def test_text_cut_in_another_way_is_found(made) -> None:
    def letters(text: str, add_special_tokens: bool) -> dict[str, list[int]]:
        return {"input_ids": [ord(letter) for letter in text]}

    assert reload.differently_cut(letters, made / "out" / "tokenizer.json") == list(reload.SENTENCES)


def test_folder_that_does_not_open_is_told_with_the_reason(tmp_path) -> None:
    with pytest.raises(StudioError) as caught:
        check_reload(tmp_path)
    assert (caught.value.code, caught.value.details["check"]) == ("publish.reload_failed", "open")
    assert caught.value.details["reason"]


@pytest.mark.parametrize("after", [2.0, 2.0099, 1.9901])
def test_bits_within_the_limit_pass(after) -> None:
    check_bits(2.0, after)


@pytest.mark.parametrize("after", [2.02, 1.98, math.nan, math.inf])
def test_bits_beyond_the_limit_fail(after) -> None:
    with pytest.raises(StudioError, match=r"publish\.bits_differ"):
        check_bits(2.0, after)
