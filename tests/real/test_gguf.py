"""The starter with Persian tokens as GGUF, in the real llama.cpp."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer

from studio.models.new_rows import NewRows
from studio.publish.converter import fetch_converter
from studio.publish.expanded import write_expanded
from studio.publish.gguf import write_gguf
from studio.publish.gguf_check import check_gguf, check_texts
from studio.publish.gguf_kinds import KINDS
from studio.publish.modelfile import write_modelfile
from tests.real.expanded import expand
from tests.starter import CACHE, alone


@pytest.fixture(scope="module")
def grown(starter: Path, tmp_path_factory) -> Path:
    """The expanded starter; each new row is the mean of the rows that its text was cut into before."""
    folder = tmp_path_factory.mktemp("gguf")
    found = expand(starter, folder / "vocabulary")
    old, new = (Tokenizer.from_file(str(each / "tokenizer.json")) for each in (starter, folder / "vocabulary"))
    table = load_file(starter / "model.safetensors")["model.embed_tokens.weight"].float()
    ids = torch.arange(found.first, found.first + found.added)
    rows = [table[old.encode(new.decode([place])).ids].mean(0) for place in ids.tolist()]
    (folder / "grown").mkdir()
    write_expanded(
        starter, folder / "vocabulary", NewRows(ids, torch.stack(rows), None), folder / "grown",
        progress=lambda share: None, stopping=lambda: False,
    )  # fmt: skip
    return folder / "grown"


@pytest.mark.parametrize("name", ["f16", "q8_0", "q4_0"])
def test_the_expanded_starter_is_the_same_in_llama_cpp(grown: Path, tmp_path: Path, name: str) -> None:
    with alone():
        converter = fetch_converter(CACHE, stopping=lambda: False)
    file, kind = tmp_path / f"starter-{name}.gguf", KINDS[name]
    write_gguf(converter, grown, file, kind, name="starter", progress=lambda share, note: None, stopping=lambda: False)
    weights = (grown / "model.safetensors").stat().st_size / 2
    assert file.stat().st_size == pytest.approx(weights * kind.bits / 8, rel=0.25)  # the head of q4_0 has 8 bits
    found = check_gguf(grown, file, kind, check_texts(), progress=lambda share, note: None, stopping=lambda: False)
    assert (found.texts, found.positions >= 600) == (1000, True)
    assert found.agreement >= (0.98 if name == "f16" else kind.agreement)
    assert not found.adds_start
    modelfile = write_modelfile(file.name, grown, adds_start=found.adds_start)
    assert modelfile.has_template
    assert 'PARAMETER stop "<|im_end|>"' in modelfile.text
