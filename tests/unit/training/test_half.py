"""fp16, for cards without bf16: the loss is scaled, a step that overflows is left out, and the scale is kept."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from studio.errors import StudioError
from studio.jobs.events import MetricRow
from studio.models.files import ModelFiles
from studio.models.load import pick_dtype
from studio.settings import Settings
from studio.training import trainer
from studio.training.base import load_frozen
from studio.training.curriculum import TrainResult
from studio.training.loss import labelled_loss

Train = Callable[..., tuple[TrainResult, list[MetricRow]]]


class Killed(BaseException):
    """Ends a training the way a kill does."""


def test_a_card_without_bf16_gets_fp16(monkeypatch: pytest.MonkeyPatch) -> None:
    """As torch tells of a T4, whose capability is 7.5."""
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation)
    assert pick_dtype("cuda") == torch.float16
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: True)
    assert pick_dtype("cuda") == torch.bfloat16


@pytest.mark.parametrize("changes", [(), ("lora.dropout=0.0", "lora.dora=true")], ids=["fused", "plain"])
def test_losses_and_gradients_are_near_those_of_fp32(train: Train, changes: tuple[str, ...]) -> None:
    _, half = train("half", *changes, dtype=torch.float16)
    _, whole = train("whole", *changes)
    assert [row.loss for row in half] == pytest.approx([row.loss for row in whole], rel=5e-3)
    assert [row.grad_norm for row in half] == pytest.approx([row.grad_norm for row in whole], rel=0.05)


def test_small_gradients_outlive_fp16() -> None:
    """A token out of a million: its pull is below what fp16 can hold, unless it is scaled."""
    torch.manual_seed(0)
    hidden, head = torch.randn(9, 16), 0.01 * torch.randn(4000, 16)
    labels = torch.randint(0, 4000, (9,))

    def gradient(dtype: torch.dtype, scale: float) -> torch.Tensor:
        leaf = hidden.clone().to(dtype).requires_grad_()
        loss = labelled_loss(leaf, head.to(dtype), labels, 1_000_000.0, None, expected=scale)
        (loss * scale).backward()
        assert leaf.grad is not None
        return leaf.grad.float() / scale

    exact = gradient(torch.float32, 1.0)
    assert float((gradient(torch.float16, 2.0**16) - exact).norm()) < 0.01 * float(exact.norm())
    assert float((gradient(torch.float16, 1.0) - exact).norm()) > 0.1 * float(exact.norm())


def test_a_step_that_overflows_is_left_out(
    train: Train, settings: Settings, words: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    start = load_file(words("a") / "new_rows.safetensors")["input"]
    monkeypatch.setattr(trainer, "SCALE", 2.0**40)
    rows = "stages.0.rows=new"
    _, recorded = train("a", rows, "stages.0.budget.steps=3", "stages.0.warmup=0", dtype=torch.float16)
    assert [(row.grad_norm, row.grad_norm_new) for row in recorded] == [(None, None)] * 3
    assert all(row.loss for row in recorded)
    stage = settings.runs / "a" / "stages" / "00-chat"
    saved = load_file(stage / "adapter_model.safetensors")
    assert not any(tensor.any() for name, tensor in saved.items() if "lora_B" in name), "nothing was learnt"
    assert torch.equal(load_file(stage / "new_rows.safetensors")["input"], start)


def test_the_scale_is_kept_in_checkpoints(train: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trainer, "SCALE", 2.0**26)  # the first steps overflow, and none after them
    _, whole = train("whole", "stages.0.budget.steps=18", dtype=torch.float16)
    skipped = [row.step for row in whole if row.grad_norm is None]
    assert skipped
    assert skipped == list(range(1, len(skipped) + 1))
    assert len(skipped) <= 12

    def kill(row: MetricRow) -> None:
        if row.step == 14:  # the last checkpoint is that of step 12
            raise Killed

    with pytest.raises(Killed):
        train("cut", "stages.0.budget.steps=18", dtype=torch.float16, record=kill)
    _, rest = train("cut", "stages.0.budget.steps=18", dtype=torch.float16)
    assert [(row.step, row.loss, row.grad_norm) for row in rest] == [
        (row.step, row.loss, row.grad_norm) for row in whole[12:]
    ]


def test_gradients_that_are_no_numbers_at_any_scale_end_the_run(train: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trainer, "SCALE", 1.0)
    monkeypatch.setattr(trainer.torch.nn.utils, "clip_grad_norm_", lambda *rest: torch.tensor(float("nan")))
    with pytest.raises(StudioError) as caught:
        train("a", dtype=torch.float16)
    assert (caught.value.code, caught.value.details["step"]) == ("training.not_finite", 1)


def test_a_model_beyond_the_range_of_fp16_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_model, tmp_path / "loud")
    weights = load_file(folder / "model.safetensors")
    for name in weights:
        if "up_proj" in name or "down_proj" in name:
            weights[name] *= 10_000
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    files = ModelFiles("local:loud", "local:loud", folder, folder)
    load_frozen(files, device="cpu", dtype=torch.bfloat16, quantisation="none")
    with pytest.raises(StudioError) as caught:
        load_frozen(files, device="cpu", dtype=torch.float16, quantisation="none")
    assert (caught.value.code, caught.value.details) == ("training.overflows_fp16", {"type": "llama"})
