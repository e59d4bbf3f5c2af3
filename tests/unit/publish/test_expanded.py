"""The model folder made of a base and its start rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from studio.errors import StudioError
from studio.models.files import ROWS
from studio.models.load import load_base
from studio.models.new_rows import place_rows
from studio.models.tokenizer import load_tokenizer
from studio.publish.expanded import expand
from studio.tokenizer.corpus import Part, sample_passages
from studio.tokenizer.rows import load_rows
from studio.tokenizer.starting import make_starts
from tests.tiny import SENTENCES
from tests.unit.tokenizer.expansion import build_base, learn_for

HELD: Any = {"fa": SENTENCES[2:8], "en": SENTENCES[8:]}


def quiet(share: float, note: str) -> None:
    assert 0 <= share <= 1
    assert note.startswith("progress.")


@pytest.mark.parametrize(("tied", "shard"), [(True, "5GB"), (False, "20KB")])
def test_an_expanded_folder_is_the_base_with_its_rows(tmp_path: Path, tied: bool, shard: str) -> None:
    files = build_base(tmp_path / "base", tied=tied)
    model, _ = load_base(files, dtype=torch.float32)
    if shard != "5GB":
        (files.folder / "model.safetensors").unlink()
        model.save_pretrained(files.folder, max_shard_size=shard)
    folder, out = tmp_path / "extended", tmp_path / "out"
    vocabulary = learn_for(files.folder, folder)
    with pytest.raises(StudioError, match=r"rows\.missing"):
        expand(files, folder, out, progress=quiet, stopping=lambda: False)
    make_starts(files, folder, [], HELD, ("mean",), "mean", progress=quiet, stopping=lambda: False)
    found = expand(files, folder, out, progress=quiet, stopping=lambda: False)
    place_rows(model, load_rows(folder, vocabulary))
    opened = AutoModelForCausalLM.from_pretrained(out)
    assert found["rows"] == opened.config.vocab_size
    assert found["added"] == vocabulary.added
    for name, weight in model.state_dict().items():
        assert torch.equal(opened.state_dict()[name], weight), name
    text = SENTENCES[0] + SENTENCES[8]
    assert (
        AutoTokenizer.from_pretrained(out)(text, add_special_tokens=False).input_ids
        == load_tokenizer(folder).encode(text, add_special_tokens=False).ids
    )
    with pytest.raises(StudioError, match=r"publish\.out_exists"):
        expand(files, folder, out, progress=quiet, stopping=lambda: False)


def test_passages_are_drawn_from_all_of_a_corpus_between_words(tmp_path: Path) -> None:
    path = tmp_path / "corpus.txt"
    words = [f"واژه{place}" for place in range(5000)]
    path.write_text(" ".join(words), encoding="utf8")
    found = sample_passages([Part(path, False)], 100, 50, 3)
    assert len(found) == 50
    assert found == sample_passages([Part(path, False)], 100, 50, 3)
    drawn = [word for passage in found for word in passage.split()]
    assert set(drawn) <= set(words)
    assert max(words.index(word) for word in drawn) > 4000
    assert not (tmp_path / ROWS).exists()
