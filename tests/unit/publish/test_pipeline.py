"""The merge job as a whole: a folder that others can use, or nothing."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from studio.errors import StudioError
from studio.jobs.database import Database
from studio.jobs.events import MetricRow
from studio.jobs.metrics import MetricStore
from studio.models.files import ModelFiles
from studio.models.source import write_source
from studio.publish.cards.edits import keep_edits
from studio.publish.pipeline import merge_run
from studio.publish.proof import Measured
from studio.publish.record import check_record, read_record
from studio.recipes import dump_recipe
from studio.settings import Settings
from tests.unit.publish.making import make_adapter, make_base
from tests.unit.publish.test_card import RECIPE
from tests.unit.publish.test_facts import manifest


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> ModelFiles:
    workspace = tmp_path_factory.mktemp("workspace")
    base = make_base(workspace / "models" / "tiny")
    write_source(
        base, reference="hub:a/tiny", original="a/tiny", licence="mit", note="dequantised from Q4_1", origins=[]
    )
    run = workspace / "runs" / "first-1"
    adapter = make_adapter(run / "stages" / "00-chat", base)
    (run / "recipe.yaml").write_text(dump_recipe(RECIPE), encoding="utf8")
    poems = workspace / "datasets" / "poems"
    poems.mkdir(parents=True)
    found = manifest("poems", rows=77, licence="cc0-1.0", source="upload")
    (poems / "manifest.json").write_text(found.model_dump_json(), encoding="utf8")
    return ModelFiles("run:first-1", "hub:a/tiny", base, base, adapter)


def settings_of(files: ModelFiles) -> Settings:
    return Settings(files.folder.parent.parent)


def test_one_merge_from_start_to_the_program_in_its_card(files, tmp_path) -> None:
    seen: list[tuple[float, str]] = []
    measured: list[ModelFiles] = []

    def measure(files, texts, *, towards_base=0.0, progress, stopping) -> Measured:
        measured.append(files)
        assert texts == ["متنی که در آموزش نبود."]
        return Measured(2.5, 1234, (4, 5, 6, 7)) if files.adapter else Measured(2.501, 1234, (4, 5, 6, 8))

    result = merge_run(
        files,
        tmp_path / "مدل من",
        ["متنی که در آموزش نبود."],
        settings=settings_of(files),
        progress=lambda share, note: seen.append((share, note)),
        stopping=lambda: False,
        measure=measure,
    )

    out = tmp_path / "مدل من"
    assert (result["out"], result["tensors_checked"]) == (str(out), 20)
    assert (result["bits_per_byte_before"], result["bits_per_byte_after"]) == (2.5, 2.501)
    assert result["files"] == sorted(path.name for path in out.iterdir())
    assert result["bytes"] == sum(path.stat().st_size for path in out.iterdir())
    assert [each.adapter is None for each in measured] == [False, True]
    assert [share for share, _ in seen] == sorted(share for share, _ in seen)
    assert list(tmp_path.iterdir()) == [out]
    record = read_record(out)
    assert record is not None
    checks = record.checks
    assert list(checks) == [
        "base", "dtype", "towards_base", "tensors", "logits", "reload", "bits_per_byte", "top1"
    ]  # fmt: skip
    assert (checks["dtype"], checks["towards_base"]) == ("bfloat16", 0.0)
    assert checks["tensors"] == {"tensors": 20, "adapted": 10, "unchanged": 10, "tables": 0}
    assert 0 < checks["logits"]["difference"] < 1e-4
    assert set(checks["reload"]["compared"]) >= {"tokens", "special_tokens", "chat", "base_config", "base_generation"}
    assert checks["bits_per_byte"] == {"before": 2.5, "after": 2.501, "bytes": 1234, "limit": 0.005}
    assert checks["top1"] == {"agreement": 0.75, "tokens": 4}
    card = (out / "README.md").read_text(encoding="utf8")
    assert hashlib.sha256((out / "model.safetensors").read_bytes()).hexdigest() in card
    assert "77" in card
    assert "license: mit\nbase_model: a/tiny\n" in card
    assert "Q4_1" in card
    assert str(files.folder.parent) not in card
    programs = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    assert programs[0] == programs[1]
    offline = {**os.environ, "HF_HUB_OFFLINE": "1"}
    ran = subprocess.run(
        [sys.executable, "-c", programs[0]], cwd=tmp_path, env=offline, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr


def test_an_edited_card_and_the_curves_go_with_the_next_merge(files, tmp_path) -> None:
    settings = settings_of(files)
    run = settings.runs / "first-1"
    metrics = MetricStore(Database(settings.database))
    for step in (1, 2, 3):
        metrics.add("first-1", MetricRow(0, step, step, 3.0 / step, None, None, None, 10, 30, None, None, None))

    def merged() -> tuple[dict[str, Any], str]:
        out = tmp_path / "edited"
        shutil.rmtree(out, ignore_errors=True)
        result = merge_run(
            files, out, ["متن"], settings=settings, progress=lambda share, note: None, stopping=lambda: False,
            measure=lambda files, texts, **how: Measured(2.5, 1234),
        )  # fmt: skip
        assert result["files"] == sorted(path.name for path in out.iterdir())
        assert result["bytes"] == sum(path.stat().st_size for path in out.iterdir())
        assert "curves-fa.svg" in check_record(out).files
        return result, (out / "README.md").read_text(encoding="utf8")

    result, made = merged()
    assert result["card"] == "made"
    keep_edits(run, "merged", "edited", made.replace("## Limits\n", "## Limits\n\nIt loves saffron.\n"))
    metrics.add("first-1", MetricRow(0, 4, 4.0, 0.5, None, None, None, 987_654, 30, None, None, None))
    result, card = merged()
    assert (result["card"], "It loves saffron." in card, "987,654" in card) == ("facts_changed", True, True)
    shutil.rmtree(run / "cards")


def test_failed_check_leaves_nothing(files, tmp_path) -> None:
    def measure(files, texts, *, towards_base=0.0, progress, stopping) -> Measured:
        return Measured(2.5 if files.adapter else 2.6, 1234)

    with pytest.raises(StudioError, match=r"publish\.bits_differ"):
        merge_run(
            files,
            tmp_path / "out",
            ["متن"],
            settings=settings_of(files),
            progress=lambda share, note: None,
            stopping=lambda: False,
            measure=measure,
        )
    assert list(tmp_path.iterdir()) == []


def test_model_without_adapter_has_nothing_to_merge(files, tmp_path) -> None:
    plain = ModelFiles("local:x", "local:x", Path("x"), Path("x"), None)
    with pytest.raises(StudioError, match=r"publish\.nothing_to_merge"):
        merge_run(
            plain,
            tmp_path / "out",
            [],
            settings=settings_of(files),
            progress=lambda share, note: None,
            stopping=lambda: False,
        )
