"""A few steps on the real starter model: the loss falls and the adapter opens."""

from __future__ import annotations

from pathlib import Path

import pytest

from studio.data.starters import FOLDER
from studio.data.stored import import_files
from studio.jobs.events import MetricRow
from studio.models.fetch import fetch
from studio.models.files import locate
from studio.recipes import override, preset_recipe
from studio.settings import load_settings
from studio.training import curriculum

QUICK = ("budget.steps=12", "rates.lora=1e-3", "accumulation=1", "length=512", "data=[{dataset: few}]")
FEW = 8


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("workspace")


def test_first_steps_learn_on_the_starter(workspace: Path) -> None:
    settings = load_settings(workspace)
    recipe = override(preset_recipe("first_steps"), [f"stages.0.{change}" for change in QUICK])
    fetch(recipe.base, settings, progress=lambda fraction, note: None, stopping=lambda: False)
    few = workspace / "few.jsonl"
    chats = (FOLDER / "chats.jsonl").read_text(encoding="utf8").splitlines()
    few.write_text("\n".join(sorted(chats, key=len)[:FEW]), encoding="utf8")
    import_files(
        [few], settings.datasets, "few", source="test", progress=lambda share, note: None, stopping=lambda: False
    )
    rows: list[MetricRow] = []
    result = curriculum.train(
        settings.runs / "first_steps-1",
        recipe,
        locate(recipe.base, settings),
        settings,
        record=rows.append,
        progress=lambda fraction, note: None,
        stopping=lambda: False,
    )
    losses = [row.loss or 0.0 for row in rows]
    assert result.state == "done"
    one_pass = FEW // recipe.stages[0].batch
    assert sum(losses[-one_pass:]) < 0.95 * sum(losses[:one_pass]), "the third time it sees the same chats"
    assert (settings.runs / "first_steps-1" / "stages" / "00-chat" / "adapter_model.safetensors").is_file()
