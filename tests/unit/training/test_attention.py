"""Documents laid end to end: none sees another, in no family, and sample answers do not see padding."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, Lfm2Config

from studio.errors import StudioError
from studio.training import attention, milestones
from studio.training.base import check_documents
from studio.training.prompts import answer
from tests.unit.training.tiny_families import build_family, widen


def test_answers_during_a_training_do_not_see_padding(
    train: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = build_family("mistral", tmp_path / "mistral")
    alike: list[bool] = []

    def watched(model: Any, tokenizer: Any, prompts: list[str], new_tokens: int, **_: bool) -> list[tuple[str, int]]:
        together = answer(model, tokenizer, prompts, 6)
        alike.append(together == [answer(model, tokenizer, [prompt], 6)[0] for prompt in prompts])
        return together

    monkeypatch.setattr(milestones, "answer", watched)
    train("a", f"base=local:{folder}", "stages.0.budget.steps=2", "stages.0.length=512")
    assert alike == [True, True, True], "before the first step, and at two checkpoints"


def test_a_family_that_mixes_tokens_otherwise_is_refused() -> None:
    """LFM2 has short convolutions, which run on from one document into the next."""
    torch.manual_seed(1)
    config = Lfm2Config(
        vocab_size=64, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, layer_types=["conv", "full_attention"],
    )  # fmt: skip
    model = AutoModelForCausalLM.from_config(config).eval()
    widen(model)
    with pytest.raises(StudioError) as caught:
        check_documents(model)
    assert caught.value.code == "training.family_not_supported"


def test_a_leak_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = AutoModelForCausalLM.from_pretrained(build_family("qwen3", tmp_path / "qwen3")).eval()
    check_documents(model)
    whole = attention.attend_documents

    def leaking(*args: Any, document_lengths: list[int], **kwargs: Any) -> Any:
        return whole(*args, document_lengths=[sum(document_lengths)], **kwargs)

    monkeypatch.setattr(attention, "attend_documents", leaking)
    with pytest.raises(StudioError):
        check_documents(model)
