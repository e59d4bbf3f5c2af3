"""Attention over documents laid end to end: none sees another, and no padding is ever computed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward

NAME = "studio_documents"


def attend_documents(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    document_lengths: list[int] | None = None,
    scaling: float | None = None,
    dropout: float = 0.0,
    sliding_window: int | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """Causal attention inside each document of one flat row.

    A mask of the whole row would cost the square of its length; one call per document needs none.

    Args:
        module: The attention layer, as transformers hands it over.
        query: Shape ``(1, heads, tokens, size)``; `key` and `value` have ``key heads`` in its place.
        attention_mask: Unused while `document_lengths` is given.
        document_lengths: Tokens of each document; their sum is ``tokens``.
        scaling: Factor on the scores; None for ``size ** -0.5``.
        dropout: Of the weights.
        sliding_window: Tokens that a token sees back, itself included; None for all.
        **kwargs: Passed on when there are no documents.

    Returns:
        Attended values, shape ``(1, tokens, heads, size)``, and None for the weights.
    """
    if document_lengths is None:
        whole: tuple[Tensor, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **kwargs
        )
        return whole
    queries, keys, values = (part.split(document_lengths, dim=2) for part in (query, key, value))
    attended = [
        _attend(q, k, v, dropout, scaling, sliding_window) for q, k, v in zip(queries, keys, values, strict=True)
    ]
    return torch.cat(attended, dim=1), None


def _attend(
    query: Tensor, key: Tensor, value: Tensor, dropout: float, scaling: float | None, window: int | None
) -> Tensor:
    mask = _band(query.shape[2], window, query.device)
    result: Tensor = functional.scaled_dot_product_attention(
        query,
        key,
        value,
        attn_mask=mask,
        dropout_p=dropout,
        scale=scaling,
        is_causal=mask is None,
        enable_gqa=query.shape[1] != key.shape[1],
    )
    return result.transpose(1, 2)


def _band(tokens: int, window: int | None, device: torch.device) -> Tensor | None:
    if window is None or tokens <= window:
        return None
    return torch.ones(tokens, tokens, dtype=torch.bool, device=device).tril().triu(1 - window)


@contextmanager
def document_attention(config: Any) -> Iterator[None]:
    """Let a model with `config` attend per document; the former implementation comes back at the end."""
    AttentionInterface.register(NAME, attend_documents)  # no mask is registered under this name: none is built
    former = config._attn_implementation
    config._attn_implementation = NAME
    try:
        yield
    finally:
        config._attn_implementation = former
