from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from studio.errors import StudioError
from studio.jobs.events import MetricRow
from studio.settings import Settings
from studio.training.checkpoints import write_whole
from studio.training.curriculum import TrainResult

Train = Callable[..., tuple[TrainResult, list[MetricRow]]]


class Killed(BaseException):
    """Ends a training the way a kill does: nothing is saved or tidied."""


def kill_at(step: int) -> Callable[[MetricRow], None]:
    def record(row: MetricRow) -> None:
        if row.step == step:
            raise Killed

    return record


def test_a_run_falls_in_loss_and_leaves_what_the_contract_says(train: Train, settings: Settings) -> None:
    result, rows = train("a", "stages.0.budget.steps=12")
    assert (result.state, result.steps, result.loss) == ("done", 12, rows[-1].loss)
    assert [row.step for row in rows] == list(range(1, 13))
    assert sum(row.loss or 0 for row in rows[-3:]) < sum(row.loss or 0 for row in rows[:3])
    assert all(later.tokens > row.tokens for row, later in zip(rows, rows[1:], strict=False))
    assert rows[-1].grad_norm
    assert rows[-1].memory
    assert result.tokens_per_second > 0
    run = settings.runs / "a"
    stage = run / "stages" / "00-chat"
    assert (stage / "adapter_model.safetensors").is_file()
    assert [path.name for path in sorted((stage / "checkpoints").iterdir())] == [
        "step-000004",
        "step-000008",
        "step-000012",
    ]
    answers = [json.loads(line) for line in (run / "samples.jsonl").read_text(encoding="utf8").splitlines()]
    assert [answer["step"] for answer in answers] == [step for step in (0, 4, 8, 12) for _ in range(3)]
    environment = json.loads((run / "environment.json").read_text(encoding="utf8"))
    assert environment["datasets"]["chats"]["sha256"]
    assert len(environment["base_sha256"]) == 64
    assert not list(stage.glob(".*"))


def test_tokens_are_counted_without_padding(train: Train, settings: Settings) -> None:
    _, rows = train("a", "stages.0.budget.epochs=1")
    report = json.loads((settings.runs / "a" / "stages" / "00-chat" / "data.json").read_text(encoding="utf8"))["chats"]
    assert (rows[-1].tokens, rows[-1].characters) == (report["tokens"], report["characters"])


def test_plain_peft_opens_the_adapter(train: Train, settings: Settings, tiny_model: Path) -> None:
    train("a", "stages.0.budget.steps=2")
    folder = settings.runs / "a" / "stages" / "00-chat"
    base = AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32)
    model = PeftModel.from_pretrained(base, str(folder))
    saved = load_file(folder / "adapter_model.safetensors")
    assert {str(tensor.dtype) for tensor in saved.values()} == {"torch.float32"}
    weight = model.base_model.model.model.layers[1].mlp.up_proj.lora_B["default"].weight
    assert torch.equal(weight, saved["base_model.model.model.layers.1.mlp.up_proj.lora_B.weight"])
    assert json.loads((folder / "adapter_config.json").read_text())["base_model_name_or_path"] == f"local:{tiny_model}"


def test_the_same_seed_gives_the_same_losses(train: Train, settings: Settings) -> None:
    first, again, other = train("a")[1], train("b")[1], train("c", "seed=1")[1]
    assert [row.loss for row in first] == [row.loss for row in again] != [row.loss for row in other]
    orders = [
        json.loads((settings.runs / run / "stages" / "00-chat" / "order.json").read_text(encoding="utf8"))
        for run in ("a", "b", "c")
    ]
    assert orders[0] == orders[1]
    assert (orders[0]["steps"], orders[0]["rows"], orders[0]["seed"], orders[2]["seed"]) == (6, 16, 3407, 1)
    assert orders[0]["sha256"] != orders[2]["sha256"], "the seed decides the order"


def test_a_run_says_what_it_was_made_with(train: Train, settings: Settings, words: Callable[[str], Path]) -> None:
    words("a")
    train("a", "stages.0.budget.steps=1")
    train("b", "stages.0.budget.steps=1", "seed=1")
    ours, other = (
        json.loads((settings.runs / run / "environment.json").read_text(encoding="utf8")) for run in ("a", "b")
    )
    assert {"torch", "transformers", "trl", "peft", "tokenizers"} <= ours["versions"].keys()
    assert (ours["recipe"]["seed"], other["recipe"]["seed"]) == (3407, 1)
    hashes = [ours[key] for key in ("base_sha256", "tokenizer_sha256", "vocabulary_sha256")]
    assert all(len(each) == 64 for each in [*hashes, ours["datasets"]["chats"]["sha256"]])
    assert other["vocabulary_sha256"] is None
    assert ours["base_sha256"] == other["base_sha256"] != ours["tokenizer_sha256"]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(
    "changes",
    [(), ("lora.dropout=0.1",), ("lora.dora=true",), ("lora.rslora=true",)],
    ids=["fused", "dropout", "dora", "rslora"],
)
def test_a_killed_run_goes_on_exactly_where_it_was(train: Train, dtype: torch.dtype, changes: tuple[str, ...]) -> None:
    _, whole = train("whole", *changes, dtype=dtype)
    with pytest.raises(Killed):
        train("cut", *changes, dtype=dtype, record=kill_at(4))  # the last checkpoint is that of step 2
    result, rest = train("cut", *changes, dtype=dtype)
    assert [row.step for row in rest] == [3, 4, 5, 6]
    for row, expected in zip(rest, whole[2:], strict=True):
        for key in ("loss", "grad_norm", "learning_rate", "tokens", "characters"):
            assert getattr(row, key) == getattr(expected, key), key
    assert (result.state, result.steps) == ("done", 6)


def test_accumulated_batches_are_one_big_batch(train: Train) -> None:
    _, parted = train("a", "stages.0.batch=2", "stages.0.accumulation=4")
    _, whole = train("b", "stages.0.batch=8", "stages.0.accumulation=1")
    for row, expected in zip(parted, whole, strict=True):
        for key in ("loss", "grad_norm", "tokens"):
            assert getattr(row, key) == pytest.approx(getattr(expected, key), rel=1e-5), key


def test_stop_saves_a_checkpoint_and_the_run_can_go_on(train: Train, settings: Settings) -> None:
    seen: list[MetricRow] = []
    result, _ = train("a", record=seen.append, stopping=lambda: len(seen) >= 3)
    assert (result.state, result.steps) == ("stopped", 3)
    stage = settings.runs / "a" / "stages" / "00-chat"
    assert (stage / "checkpoints" / "step-000003").is_dir()
    assert not (stage / "adapter_model.safetensors").exists()
    result, rows = train("a")
    assert (result.state, rows[0].step, rows[-1].step) == ("done", 4, 6)


def test_two_stages_carry_one_adapter_and_one_count(train: Train, settings: Settings) -> None:
    second = (
        "{name: more, kind: instruct, data: [{dataset: pairs, direction: fa-en}], budget: {steps: 2}, "
        "batch: 2, accumulation: 1, length: 128}"
    )
    first = "{name: chat, kind: instruct, data: [{dataset: chats}], budget: {steps: 2}, batch: 2, accumulation: 1}"
    result, rows = train("a", f"stages=[{first}, {second}]")
    assert [(row.stage, row.step) for row in rows] == [(0, 1), (0, 2), (1, 1), (1, 2)]
    assert rows[2].tokens > rows[1].tokens
    assert result.steps == 4
    folders = [settings.runs / "a" / "stages" / name for name in ("00-chat", "01-more")]
    before, after = (load_file(folder / "adapter_model.safetensors") for folder in folders)
    assert before.keys() == after.keys()
    moved = max(float((after[name] - before[name]).abs().max()) for name in before)
    assert 0 < moved < 0.05


def test_a_loss_that_is_no_number_ends_the_run_and_keeps_the_checkpoint(train: Train, settings: Settings) -> None:
    with pytest.raises(StudioError) as raised:
        train("a", "stages.0.rates.lora=1e30", "stages.0.schedule=constant", "stages.0.budget.steps=9")
    assert raised.value.code == "training.not_finite"
    assert raised.value.details["step"] <= 9


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        (["stages.0.data.0.dataset=gone"], "data.no_such_dataset"),
        (["stages.0.length=5000"], "training.length_too_long"),
        (["stages.0.length=16"], "training.all_too_long"),
        (["lora.targets=[nothing]"], "training.bad_targets"),
    ],
)
def test_what_a_user_can_mend_is_said(train: Train, changes: list[str], code: str) -> None:
    with pytest.raises(StudioError) as raised:
        train("a", *changes)
    assert raised.value.code == code


def test_a_run_refuses_data_that_changed(train: Train, settings: Settings) -> None:
    train("a", "stages.0.budget.steps=2")
    manifest = settings.datasets / "chats" / "manifest.json"
    content: dict[str, Any] = json.loads(manifest.read_text(encoding="utf8"))
    manifest.write_text(json.dumps({**content, "sha256": "0" * 64}), encoding="utf8")
    with pytest.raises(StudioError) as raised:
        train("a")
    assert raised.value.code == "training.data_changed"


def test_half_a_checkpoint_never_counts(tmp_path: Path) -> None:
    def fill(folder: Path) -> None:
        (folder / "a").write_text("half")
        raise Killed

    with pytest.raises(Killed):
        write_whole(tmp_path / "step-000001", fill)
    assert list(tmp_path.glob("step-*")) == []


def test_a_full_disk_is_said(tmp_path: Path) -> None:
    def fill(folder: Path) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(StudioError) as raised:
        write_whole(tmp_path / "step-000001", fill)
    assert raised.value.code == "disk.full"
    assert list(tmp_path.iterdir()) == []
