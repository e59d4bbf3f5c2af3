from __future__ import annotations

from pathlib import Path

import pytest
import torch
from datasets import Dataset

from studio.models.files import ModelFiles
from studio.recipes import Lora, Stage
from studio.training.adapter import add_adapter
from studio.training.base import check_head, load_frozen
from studio.training.checkpoints import Counts
from studio.training.plan import Plan
from studio.training.reporter import Reporter
from studio.training.trainer import StageTrainer, arguments
from tests.unit.training.test_exactness import gradients, ours

bitsandbytes = pytest.importorskip("bitsandbytes")


@pytest.fixture
def files(tiny_model: Path) -> ModelFiles:
    return ModelFiles(f"local:{tiny_model}", f"local:{tiny_model}", tiny_model, tiny_model, None)


def test_the_head_is_what_the_loss_takes_it_for(files: ModelFiles) -> None:
    model, tokenizer = load_frozen(files, device="cpu", dtype=torch.bfloat16, quantisation="none")
    check_head(model)
    assert len(tokenizer) == model.config.vocab_size


def test_four_bits_still_learn_after_an_answer(files: ModelFiles) -> None:
    model, _ = load_frozen(files, device="cpu", dtype=torch.float32, quantisation="nf4")
    assert any(isinstance(module, bitsandbytes.nn.Linear4bit) for module in model.modules())
    adapted = add_adapter(model, Lora(rank=4, alpha=8), "base", 0)
    torch.manual_seed(3)
    for name, parameter in adapted.named_parameters():
        if "lora_B" in name:
            parameter.data.normal_(std=0.05)
    before = ours(adapted.train())
    expected = {name: gradient.clone() for name, gradient in gradients(adapted).items()}
    ids = torch.tensor([[3, 40, 50, 60]])
    adapted.eval().generate(input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=4)
    adapted.zero_grad()
    assert ours(adapted.train()) == pytest.approx(before, rel=1e-5)
    for name, gradient in gradients(adapted).items():
        torch.testing.assert_close(gradient, expected[name], rtol=1e-3, atol=1e-6)
        assert float(gradient.abs().max()) > 0


def test_over_four_bits_the_adapter_stays_in_fp32(files: ModelFiles, tmp_path: Path) -> None:
    """trl casts it to bf16 there, which loses most updates of a late schedule."""
    model, tokenizer = load_frozen(files, device="cpu", dtype=torch.bfloat16, quantisation="nf4")
    adapted = add_adapter(model, Lora(rank=4, alpha=8), "base", 0)
    stage = Stage.model_validate(
        {"name": "chat", "kind": "instruct", "data": [{"dataset": "x"}], "budget": {"steps": 1}}
    )
    plan = Plan([[0]], 1)
    reporter = Reporter(
        0, 1, Counts(), record=lambda row: None, progress=lambda share: None, stopping=lambda: False,
        saved=lambda step: None, alarm=lambda alarm: None, meter=None,
    )  # fmt: skip
    rows = Dataset.from_list([{"input_ids": [3, 40, 50], "labels": [-100, 40, 50], "characters": 3}])
    args = arguments(stage, plan, tmp_path, 0, cuda=False)
    StageTrainer(adapted, tokenizer, rows, plan, args, reporter, tmp_path, stage, None)
    assert {parameter.dtype for parameter in adapted.parameters() if parameter.requires_grad} == {torch.float32}
