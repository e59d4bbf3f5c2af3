"""New rows over a base in four bits, on a processor: near to full precision, learning, and exactly resumable."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from studio.jobs.events import MetricRow
from studio.settings import Settings
from studio.training.curriculum import TrainResult

bitsandbytes = pytest.importorskip("bitsandbytes")

Train = Callable[..., tuple[TrainResult, list[MetricRow]]]

ALIGN = (
    "{name: align, kind: align, data: [{dataset: texts}], budget: {steps: 3}, rates: {rows: 1.0e-2}, warmup: 0, "
    "batch: 2, accumulation: 1, length: 64}"
)
PRETRAIN = (
    "{name: pretrain, kind: pretrain, data: [{dataset: texts}], budget: {steps: 4}, warmup: 0, "
    "rates: {lora: 2.0e-3, rows: 1.0e-3}, batch: 2, accumulation: 2, length: 64}"
)


def test_rows_learn_over_four_bits_and_go_on_exactly(
    train: Train, settings: Settings, words: Callable[..., Path]
) -> None:
    start = load_file(words("full") / "new_rows.safetensors")["input"]
    for name in ("whole", "parted"):
        words(name)
    stages = f"stages=[{ALIGN}, {PRETRAIN}]"
    _, full = train("full", stages)
    _, whole = train("whole", stages, "quantisation=nf4")
    assert [row.loss for row in whole] == pytest.approx([row.loss for row in full], rel=0.01)
    assert [row.loss for row in whole] != [row.loss for row in full], "the layers are in four bits"
    assert all(row.grad_norm_new for row in whole)
    finished = settings.runs / "whole" / "stages" / "01-pretrain"
    rows = load_file(finished / "new_rows.safetensors")["input"]
    assert rows.dtype == torch.float32
    assert float((rows - start).abs().max()) > 1e-2
    ups = {name: each for name, each in load_file(finished / "adapter_model.safetensors").items() if "lora_B" in name}
    # answers at checkpoints run in evaluation, where bitsandbytes 0.50 repacks weights for a kernel without a
    # backward: all layers but the last would stand still from then on
    assert all(float(each.abs().max()) > 1e-3 for each in ups.values())
    seen: list[MetricRow] = []
    _, first = train("parted", stages, "quantisation=nf4", record=seen.append, stopping=lambda: len(seen) >= 5)
    _, rest = train("parted", stages, "quantisation=nf4")
    assert len(first) == 5
    assert [(row.loss, row.grad_norm, row.grad_norm_new) for row in [*first, *rest]] == [
        (row.loss, row.grad_norm, row.grad_norm_new) for row in whole
    ]
