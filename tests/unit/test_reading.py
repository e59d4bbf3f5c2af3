"""What the page shows as «read by training» is what training reads, token for token."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from studio.data import stored
from studio.data.mapping import Mapping, make_mapping
from studio.errors import StudioError
from studio.models.files import document_start
from studio.models.template import IGNORED, ChatTemplate
from studio.services.reading import as_trained
from studio.services.studio import Studio, open_studio
from studio.settings import Settings
from studio.training.batches import Report, RowMaker
from tests.unit.training.conftest import CHATS

CHAT_ROWS = [{"messages": [{"role": role, "content": text} for role, text in chat]} for chat in CHATS]
DATA: dict[str, tuple[list[dict[str, Any]], Mapping]] = {
    "chats": (CHAT_ROWS, make_mapping("messages", messages="messages")),
    "pairs": ([{"fa": "باران می‌بارد.", "en": "It rains."}], make_mapping("pair", fa="fa", en="en")),
    "texts": ([{"text": "کتاب خوب است.\nباران می‌بارد."}, {"text": "سلام"}], make_mapping("text", text="text")),
}


@pytest.fixture
def studio(tmp_path: Path) -> Studio:
    opened = open_studio(Settings(tmp_path / "workspace"))
    for name, (rows, mapping) in DATA.items():
        file = tmp_path / f"{name}.jsonl"
        file.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf8")
        stored.import_files(
            [file], opened.settings.datasets, name, mapping=mapping, source="test",
            progress=lambda fraction, note: None, stopping=lambda: False,
        )  # fmt: skip
    return opened


@pytest.mark.parametrize("name", DATA)
def test_the_page_reads_what_training_reads(name: str, studio: Studio, tiny_model: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    template = ChatTemplate.of_tokenizer(tokenizer)
    maker = RowMaker(tokenizer, 4096, "answers", document_start(tiny_model), template)
    rows = list(maker.rows(stored.read_samples(studio.settings.datasets / name), "both", Report()))
    shown = as_trained(studio, name, f"local:{tiny_model}", count=20)
    assert len(shown) == len(rows) > 0
    for read, row in zip(shown, rows, strict=True):
        assert read.text is not None
        assert tokenizer(read.text, add_special_tokens=False)["input_ids"] == row.ids
        assert read.tokens == len(row.ids)
        trained = [label for label in row.labels if label != IGNORED]
        assert read.trained_tokens == len(trained)
        marked = "".join(read.text[start:end] for start, end in read.trained)
        assert tokenizer.decode(trained) == marked


def test_a_chat_that_the_template_refuses_is_shown_as_left_out(
    studio: Studio, tiny_model: Path, tmp_path: Path
) -> None:
    strict = tmp_path / "strict"
    strict.mkdir()
    for file in tiny_model.iterdir():
        (strict / file.name).write_bytes(file.read_bytes())
    written = (strict / "chat_template.jinja").read_text(encoding="utf8")
    refusal = "{% if messages|length > 2 %}{{ raise_exception('too long') }}{% endif %}"
    (strict / "chat_template.jinja").write_text(refusal + written, encoding="utf8")
    shown = as_trained(studio, "chats", f"local:{strict}", count=20)
    assert [read.text is None for read in shown] == [len(chat) > 2 for chat in CHATS]


def test_a_model_without_a_template_says_so(studio: Studio, tiny_model: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    for file in tiny_model.iterdir():
        if file.name != "chat_template.jinja":
            (bare / file.name).write_bytes(file.read_bytes())
    with pytest.raises(StudioError) as caught:
        as_trained(studio, "chats", f"local:{bare}")
    assert caught.value.code == "template.missing"
    assert as_trained(studio, "texts", f"local:{bare}")[0].text
