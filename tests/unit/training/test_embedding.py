"""Rows that learn beside frozen ones: the same loss and gradients as a model whose whole tables learn."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, Gemma3TextConfig, LlamaConfig

from studio.models.new_rows import NewRows, SplitEmbedding, place_rows
from studio.training.embedding import TrainedRows, split_tables
from studio.training.loss import labelled_loss

HIDDEN, OLD, NEW = 16, 90, 10


def build(kind: str, rows: int, tied: bool) -> Any:
    torch.manual_seed(1)
    common: dict[str, Any] = {
        "vocab_size": rows, "hidden_size": HIDDEN, "intermediate_size": 24, "num_hidden_layers": 2,
        "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 8, "tie_word_embeddings": tied,
    }  # fmt: skip
    config = LlamaConfig(**common) if kind == "llama" else Gemma3TextConfig(**common, sliding_window=32)
    return AutoModelForCausalLM.from_config(config).float().eval()


def new_rows(tied: bool, first: int = OLD) -> NewRows:
    torch.manual_seed(2)
    draw = 0.1 * torch.randn(2, NEW, HIDDEN)
    return NewRows(torch.arange(first, first + NEW), draw[0], None if tied else draw[1])


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize(("kind", "table"), [("llama", OLD), ("llama", 128), ("gemma", 96)])
def test_loss_and_gradients_are_those_of_whole_tables(kind: str, table: int, tied: bool) -> None:
    """Tables that end at the last token, padded ones with room for the new rows, and Gemma's scaled embeddings."""
    whole, split = build(kind, table, tied), build(kind, table, tied)
    rows = new_rows(tied)
    place_rows(whole, rows)
    trained = split_tables(split, rows, whole=False)
    for weight in split.parameters():
        weight.requires_grad_(False)
    trained.learn(OLD)
    ids = torch.randint(0, OLD + NEW, (1, 60))
    labels = ids[0].clone()
    labels[0] = labels[7] = -100
    count = int((labels != -100).sum())
    logits = whole(input_ids=ids, use_cache=False).logits[0]
    expected = torch.nn.functional.cross_entropy(logits[:-1], labels[1:], ignore_index=-100, reduction="sum") / count
    expected.backward()
    hidden = split.get_decoder()(input_ids=ids, use_cache=False).last_hidden_state[0]
    loss = labelled_loss(
        hidden, split.get_output_embeddings().weight, labels, count, None, trained.head, trained.first
    )
    loss.backward()
    assert float(loss) == pytest.approx(float(expected), rel=1e-6)
    embedding = whole.get_input_embeddings().weight.grad[OLD : OLD + NEW]
    assert torch.allclose(trained.input.grad, embedding, atol=1e-7, rtol=1e-4)
    if not tied:
        assert trained.output is not None
        head = whole.get_output_embeddings().weight.grad[OLD : OLD + NEW]
        assert torch.allclose(trained.output.grad, head, atol=1e-7, rtol=1e-4)
    assert split.get_input_embeddings().table.weight.grad is None
    assert split.get_output_embeddings().weight.grad is None


def test_whole_tables_can_learn_and_old_rows_can_be_held_again() -> None:
    model = build("llama", OLD, True)
    trained = split_tables(model, new_rows(True), whole=True)
    assert (trained.first, len(trained.input)) == (0, 128)
    ids = torch.tensor([[3, OLD + 1, 5, 6]])
    for learn, moved in ((0, 128), (OLD, 128 - OLD)):
        trained.learn(learn)
        trained.zero_grad()
        hidden = model.get_decoder()(input_ids=ids, use_cache=False).last_hidden_state[0]
        labelled_loss(
            hidden, model.get_output_embeddings().weight, ids[0], 3, None, trained.head, trained.first
        ).backward()
        trained.hold_old()
        assert int((trained.input.grad.abs().sum(1) > 0).sum()) == moved
    trained.learn(None)
    assert not trained.input.requires_grad


def test_bf16_tables_get_fp32_rows_that_keep_small_updates() -> None:
    model = build("llama", OLD, True).to(torch.bfloat16)
    trained = split_tables(model, new_rows(True), whole=False)
    assert isinstance(model.get_input_embeddings(), SplitEmbedding)
    assert trained.input.dtype == torch.float32
    before = trained.input.detach().clone()
    with torch.no_grad():
        trained.input += 1e-5
    assert float((trained.input - before).min()) > 9e-6
    assert model.get_input_embeddings()(torch.tensor([[2, OLD + 2]])).dtype == torch.bfloat16
    back = trained.rows()
    assert torch.equal(back.ids, torch.arange(OLD, OLD + NEW))
    other = TrainedRows(OLD, torch.zeros(NEW, HIDDEN), None)
    other.put(back)
    assert torch.equal(other.input, trained.input)
