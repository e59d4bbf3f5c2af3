from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from studio.errors import StudioError
from studio.evaluation.bits import bits_per_byte, exact_dtype, measure_model, read_documents
from studio.models.files import ModelFiles
from studio.models.load import load_base
from studio.models.tokenizer import load_tokenizer
from studio.settings import Settings
from tests.tiny import DOCUMENT_START, SENTENCES


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> Any:
    torch.manual_seed(0)
    model, _ = load_base(ModelFiles("x", "x", tiny_model, tiny_model), device="cpu", dtype=torch.float32)
    for weight in model.parameters():  # a fresh model is sure of nothing; larger weights make mistakes visible
        weight.data.mul_(5)
    return model


@pytest.fixture(scope="module")
def encode(tiny_model: Path) -> Any:
    tokenizer = load_tokenizer(tiny_model)
    return lambda text: tokenizer.encode(text, add_special_tokens=False).ids


def slowly(model: Any, encode: Any, documents: list[str], window: int) -> float:
    """One document, one window, one token at a time; nothing shared with the code under test."""
    nats = 0.0
    with torch.inference_mode():
        for text in documents:
            ids = encode(text)
            for at in range(0, len(ids), window):
                piece = [DOCUMENT_START, *ids[at : at + window]]
                chances = model(torch.tensor([piece])).logits[0].double().log_softmax(-1)
                nats -= sum(float(chances[place, token]) for place, token in enumerate(piece[1:]))
    return nats / math.log(2) / sum(len(text.encode()) for text in documents)


@pytest.mark.parametrize("window", [5, 64, 2048])
def test_agrees_with_one_document_at_a_time(model: Any, encode: Any, window: int) -> None:
    documents = [*SENTENCES[::3], "ا", " ".join(SENTENCES[:4])]
    shares: list[float] = []
    found = bits_per_byte(
        model,
        encode,
        [*documents, "", "  "],
        DOCUMENT_START,
        window=window,
        progress=lambda share, _: shares.append(share),
    )
    assert found.bits_per_byte == pytest.approx(slowly(model, encode, documents, window), rel=1e-6)
    assert found.bytes == sum(len(text.encode()) for text in documents)
    assert found.tokens == sum(len(encode(text)) for text in documents)
    assert (found.documents, found.window, found.document_start) == (len(documents), window, DOCUMENT_START)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_logits_changed_behind_the_head_are_noticed(model: Any, encode: Any) -> None:
    class Capped(torch.nn.Module):
        """As Gemma-2 does: the head's logits are not the model's."""

        def __init__(self) -> None:
            super().__init__()
            self.inner = model

        def get_decoder(self) -> Any:
            return model.get_decoder()

        def get_output_embeddings(self) -> Any:
            return model.get_output_embeddings()

        def forward(self, ids: torch.Tensor | None = None, **options: Any) -> Any:
            output = model(options.pop("input_ids", ids), **options)
            output.logits = 3 * torch.tanh(output.logits / 3)
            return output

    capped = Capped().eval()
    found = bits_per_byte(capped, encode, list(SENTENCES[::3]), DOCUMENT_START)
    assert found.bits_per_byte == pytest.approx(slowly(capped, encode, list(SENTENCES[::3]), 2048), rel=1e-6)


def test_an_adapter_counts(model: Any, encode: Any, tiny_model: Path) -> None:
    from peft import LoraConfig, get_peft_model

    base, _ = load_base(ModelFiles("x", "x", tiny_model, tiny_model), device="cpu", dtype=torch.float32)
    before = bits_per_byte(base, encode, list(SENTENCES[::3]), DOCUMENT_START).bits_per_byte
    adapted = get_peft_model(base, LoraConfig(r=4, target_modules=["q_proj", "down_proj"])).eval()
    for name, weight in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight)
    found = bits_per_byte(adapted, encode, list(SENTENCES[::3]), DOCUMENT_START).bits_per_byte
    assert found == pytest.approx(slowly(adapted, encode, list(SENTENCES[::3]), 2048), rel=1e-6)
    assert found != before


def test_a_model_on_disk_is_measured_in_fp32(tiny_model: Path, tmp_path: Path) -> None:
    assert exact_dtype(tiny_model) == torch.float32
    found = measure_model(f"local:{tiny_model}", SENTENCES, Settings(tmp_path))
    assert list(asdict(found)) == ["bits_per_byte", "bytes", "tokens", "documents", "window", "document_start"]


def test_stop_and_bad_input_are_said(model: Any, encode: Any) -> None:
    for code, documents, start, stop in (
        ("job.stopped", list(SENTENCES[::3]), 0, True),
        ("bits.no_documents", ["", " "], 0, False),
        ("bits.no_document_start", list(SENTENCES[::3]), None, False),
    ):
        with pytest.raises(StudioError) as error:
            bits_per_byte(model, encode, documents, start, stopping=lambda stop=stop: stop)
        assert error.value.code == code


def test_documents_are_lines_of_text_or_rows(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("یک\n\n  \nدو سه\r\n", encoding="utf8")
    assert read_documents(tmp_path / "a.txt") == ["یک", "دو سه"]
    rows = [
        {"id": "1", "text": "یک\nدو"},
        {"id": "2", "text": " "},
        {"messages": [{"role": "user", "content": "یک"}, {"role": "assistant", "content": "دو"}]},
        {"fa": "یک", "en": "one"},
        {"number": 5, "story": "قصه"},
    ]
    lines = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    (tmp_path / "a.jsonl").write_text(lines, encoding="utf8")
    assert read_documents(tmp_path / "a.jsonl") == ["یک\nدو", "یک\nدو", "یک\none", "قصه"]
    pq.write_table(pa.table({"n": [1, 2], "text": ["یک", "دو"]}), tmp_path / "a.parquet")
    assert read_documents(tmp_path / "a.parquet") == ["یک", "دو"]
    (tmp_path / "b.jsonl").write_text('{"n": 1}\n', encoding="utf8")
    with pytest.raises(StudioError, match=r"bits\.no_documents"):
        read_documents(tmp_path / "b.jsonl")
