"""The fast path against the plain one: transformers' own forward, peft's own adapter, torch's own cross-entropy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from studio.recipes import Lora
from studio.training import attention_blocks
from studio.training.adapter import add_adapter
from studio.training.attention import document_attention
from studio.training.fused_llama import fuse_layers
from studio.training.loss import labelled_loss
from studio.training.trainer import GRID, fill_up, lay_end_to_end

LENGTHS = (37, 70, 5)


def rows() -> list[dict[str, Any]]:
    generator = torch.Generator().manual_seed(5)
    made = []
    for number, length in enumerate(LENGTHS):
        ids = torch.randint(3, 500, (length,), generator=generator).tolist()
        made.append({"input_ids": ids, "labels": [-100] * (2 + number) + ids[2 + number :], "characters": 0})
    return made


def adapted(folder: Path, dtype: torch.dtype) -> Any:
    model = add_adapter(AutoModelForCausalLM.from_pretrained(folder, dtype=dtype), Lora(rank=4, alpha=8), "base", 0)
    torch.manual_seed(3)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            parameter.data.normal_(std=0.05)
    return model


def gradients(model: Any) -> dict[str, torch.Tensor]:
    return {name: each.grad for name, each in model.named_parameters() if each.requires_grad}


def plain(model: Any) -> float:
    items = sum(label != -100 for row in rows() for label in row["labels"])
    loss = torch.zeros(())
    for row in rows():
        logits = model(input_ids=torch.tensor([row["input_ids"]]), use_cache=False).logits[0].float()
        loss = loss + torch.nn.functional.cross_entropy(
            logits[:-1], torch.tensor(row["labels"][1:]), ignore_index=-100, reduction="sum"
        )
    (loss / items).backward()
    value: float = loss.item() / items
    return value


def ours(model: Any) -> float:
    batch, causal = lay_end_to_end(rows()), model.get_base_model()
    ids, positions, lengths = fill_up(batch["input_ids"], batch["position_ids"], batch["document_lengths"])
    assert ids.shape == positions.shape == (1, sum(lengths))
    assert ids.shape[1] % GRID == 0 < ids.shape[1] - sum(LENGTHS)
    body = causal.get_decoder()
    with document_attention(body.config):
        hidden = body(
            input_ids=ids, position_ids=positions, use_cache=False, document_lengths=lengths
        ).last_hidden_state[0]
    labels = batch["labels"][0]
    loss = labelled_loss(hidden, causal.get_output_embeddings().weight, labels, (labels != -100).sum(), None)
    loss.backward()
    value: float = loss.item()
    return value


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize(("block", "keep"), [(256, 1024), (16, 20)])
def test_fp32_loss_and_gradients_are_those_of_a_plain_model(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch, fused: bool, block: int, keep: int
) -> None:
    monkeypatch.setattr(attention_blocks, "BLOCK", block)
    monkeypatch.setattr(attention_blocks, "KEEP", keep)
    reference, model = adapted(tiny_model, torch.float32), adapted(tiny_model, torch.float32)
    if fused:
        assert fuse_layers(model) == 2
    assert ours(model) == pytest.approx(plain(reference), abs=1e-6)
    for name, gradient in gradients(reference).items():
        torch.testing.assert_close(
            gradients(model)[name], gradient, rtol=1e-4, atol=1e-6 * float(gradient.abs().max()) + 1e-9
        )


def test_bf16_is_as_near_to_fp32_as_a_plain_model_in_bf16(tiny_model: Path) -> None:
    exact, reference, model = (adapted(tiny_model, dtype) for dtype in (torch.float32, torch.bfloat16, torch.bfloat16))
    fuse_layers(model)
    true, near, mine = plain(exact), plain(reference), ours(model)
    assert abs(mine - true) < 3e-3
    assert abs(near - true) < 3e-3
    wanted = gradients(exact)

    def error(other: Any) -> float:
        found = gradients(other)
        total: float = sum((found[name] - wanted[name]).square().sum().item() for name in wanted)
        return total

    assert error(model) < 2 * error(reference)  # of squares


def test_softcapped_logits_and_ignored_positions() -> None:
    torch.manual_seed(0)
    hidden = torch.randn(50, 16, requires_grad=True)
    head, labels = torch.randn(300, 16), torch.randint(0, 300, (50,))
    labels[::7] = -100
    loss = labelled_loss(hidden, head, labels, 10.0, 5.0)
    loss.backward()
    mine, hidden.grad = hidden.grad, None
    logits = 5 * torch.tanh(hidden @ head.t() / 5)
    expected = torch.nn.functional.cross_entropy(logits[:-1], labels[1:], ignore_index=-100, reduction="sum") / 10
    expected.backward()
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(mine, hidden.grad)


def test_generation_still_works_on_fused_layers(tiny_model: Path) -> None:
    reference, model = adapted(tiny_model, torch.float32), adapted(tiny_model, torch.float32)
    fuse_layers(model)
    ids = torch.tensor([[3, 40, 50, 60]])
    outputs = [
        each.eval().generate(input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=8)
        for each in (reference, model)
    ]
    assert torch.equal(*outputs)
