"""The whole curriculum on the real starter model, a step a stage: vocabulary, align, pretrain, instruct."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from safetensors.torch import load_file

from tests.live import command

RECIPE = """
name: three
base: starter:smollm2-135m
vocabulary: {size: 300, corpus: [sample-prose], start: mean}
lora: {rank: 4, alpha: 8}
stages:
  - {name: align, kind: align, data: [{dataset: sample-prose}, {dataset: sample-stories, direction: fa-en}],
     budget: {steps: 1}, rates: {rows: 1.0e-3}, batch: 2, accumulation: 1, length: 128}
  - {name: pretrain, kind: pretrain, data: [{dataset: sample-prose}], budget: {steps: 1}, batch: 2, accumulation: 1,
     length: 128}
  - {name: chat, kind: instruct, data: [{dataset: sample-chats}], budget: {steps: 1}, batch: 1, accumulation: 1,
     length: 512, rows: frozen}
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "three.yaml"
    path.write_text(RECIPE, encoding="utf8")
    return path


def test_three_stages_from_the_command_line(workspace: Path, recipe: Path, tmp_path: Path) -> None:
    told = command(workspace, "run", str(recipe))
    assert (told["state"], told["steps"]) == ("done", 3)
    run = workspace / "runs" / told["run"]
    stages = sorted(path.name for path in (run / "stages").iterdir())
    assert stages == ["00-align", "01-pretrain", "02-chat"]
    rows = [load_file(run / "stages" / stage / "new_rows.safetensors")["input"] for stage in stages]
    assert rows[0].shape == (300, 576)
    assert (rows[1] - rows[0]).abs().max() > 0
    assert (rows[2] == rows[1]).all()
    kinds = {job["kind"] for job in command(workspace, "jobs", "list")["jobs"]}
    assert {"vocabulary", "rows", "train", "import"} <= kinds
    texts = tmp_path / "texts.txt"
    texts.write_text("باران آرام روی برگ‌ها می‌بارید.\n", encoding="utf8")
    bits = command(workspace, "bits", "--model", f"run:{told['run']}", "--text", str(texts))
    base = command(workspace, "bits", "--model", "starter:smollm2-135m", "--text", str(texts))
    assert bits["tokens"] < 0.7 * base["tokens"]
    assert 0.5 * base["bits_per_byte"] < bits["bits_per_byte"] < 2 * base["bits_per_byte"]
    samples = [json.loads(line) for line in (run / "samples.jsonl").read_text(encoding="utf8").splitlines()]
    assert {sample["stage"] for sample in samples} == {0, 1, 2}
    answer = command(workspace, "chat", "--model", f"run:{told['run']}", "--prompt", "سلام", "--max-tokens", "4")
    assert answer["tokens"] == 4 or answer["text"]
