"""A tokenizer, a workspace with three small datasets, a vocabulary for a run, and a way to train in it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from studio.data.mapping import make_mapping
from studio.data.stored import import_files
from studio.jobs.events import MetricRow
from studio.models.files import locate
from studio.models.load import load_base
from studio.models.tokenizer import load_tokenizer
from studio.recipes import override, parse_recipe
from studio.settings import Settings
from studio.tokenizer.embeddings import closed_form, tables_of
from studio.tokenizer.rows import save_rows
from studio.training import curriculum
from studio.training.curriculum import TrainResult
from studio.training.journal import Journal
from tests.tiny import SENTENCES, tiny_tokenizer
from tests.unit.tokenizer.expansion import learn_for

CHATS = [
    [("user", "سلام! حالت چطور است؟"), ("assistant", "خوبم، ممنون.")],
    [("user", "آب چیست؟"), ("assistant", "مایعی بی‌رنگ."), ("user", "و یخ؟"), ("assistant", "آبِ سرد و سفت.")],
    [("system", "کوتاه پاسخ بده."), ("user", "پایتخت ایران؟"), ("assistant", "تهران.")],
    [("user", "دو به‌علاوهٔ دو؟"), ("assistant", "چهار."), ("user", "سه؟"), ("assistant", "بعد از دو.")],
]


@pytest.fixture(scope="session")
def tokenizer() -> Any:
    return tiny_tokenizer()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    found = Settings(tmp_path / "workspace")
    chats = [{"messages": [{"role": role, "content": text} for role, text in chat]} for chat in CHATS * 4]
    pairs = [{"fa": f"گربهٔ {number} خوابید.", "en": f"Cat {number} slept."} for number in range(6)]
    texts = [{"text": f"{sentence} {number}"} for number, sentence in enumerate(SENTENCES * 3)]
    for name, rows, mapping in (
        ("texts", texts, make_mapping("text", text="text")),
        ("chats", chats, make_mapping("messages", messages="messages")),
        ("pairs", pairs, make_mapping("pair", fa="fa", en="en")),
    ):
        file = tmp_path / f"{name}.jsonl"
        file.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf8")
        import_files(
            [file],
            found.datasets,
            name,
            mapping=mapping,
            source="test",
            progress=lambda fraction, note: None,
            stopping=lambda: False,
        )
    return found


@pytest.fixture
def words(settings: Settings, tiny_model: Path) -> Callable[..., Path]:
    """Gives the run of a name 40 new tokens of its own, each starting at the mean of what spelt it."""

    def give(run: str, base: Path = tiny_model) -> Path:
        folder = settings.runs / run / "vocabulary"
        vocabulary = learn_for(base, folder)
        files = locate(f"local:{base}", settings)
        model, _ = load_base(files, dtype=torch.float32)
        rows = closed_form("mean", vocabulary, load_tokenizer(folder).get_vocab(True), tables_of(model), 0)
        save_rows(folder, rows, vocabulary)
        return folder

    return give


@pytest.fixture
def train(settings: Settings, tiny_model: Path) -> Callable[..., tuple[TrainResult, list[MetricRow]]]:
    """Train ``runs/<name>`` with settings of a small recipe; returns the result and the recorded rows."""

    def run(
        name: str,
        *changes: str,
        dtype: torch.dtype = torch.float32,
        stopping: Callable[[], bool] = lambda: False,
        record: Callable[[MetricRow], None] = lambda row: None,
        journal: Journal | None = None,
    ) -> tuple[TrainResult, list[MetricRow]]:
        stage = {
            "name": "chat",
            "kind": "instruct",
            "data": [{"dataset": "chats"}],
            "budget": {"steps": 6},
            "rates": {"lora": 2e-3},
            "batch": 2,
            "accumulation": 2,
            "length": 256,
        }
        small = parse_recipe({"name": "small", "base": f"local:{tiny_model}", "stages": [stage]})
        recipe = override(small, changes)
        rows: list[MetricRow] = []

        def keep(row: MetricRow) -> None:
            rows.append(row)
            record(row)

        result = curriculum.train(
            settings.runs / name,
            recipe,
            locate(recipe.base, settings),
            settings,
            record=keep,
            progress=lambda fraction, note: None,
            stopping=stopping,
            dtype=dtype,
            journal=journal,
        )
        return result, rows

    return run
