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
    softcap: float | None = None,
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
        softcap: Scores become ``softcap * tanh(scores / softcap)``, as Gemma-2 has it; None leaves them.
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
        _attend(q, k, v, dropout, scaling, sliding_window, softcap)
        for q, k, v in zip(queries, keys, values, strict=True)
    ]
    return torch.cat(attended, dim=1), None


def _attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    dropout: float,
    scaling: float | None,
    window: int | None,
    softcap: float | None,
) -> Tensor:
    if softcap is not None:
        return _attend_capped(query, key, value, dropout, scaling, window, softcap)
    # without a mask torch takes its faster kernels
    mask = None if window is None or query.shape[2] <= window else _seen(query.shape[2], window, query.device)
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


def _attend_capped(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    dropout: float,
    scaling: float | None,
    window: int | None,
    softcap: float,
) -> Tensor:
    """Gemma-2's attention, product by product: torch's kernels bound no scores."""
    group = query.shape[1] // key.shape[1]
    key, value = (part.repeat_interleave(group, dim=1) for part in (key, value))
    scores = query @ key.transpose(2, 3) * (query.shape[-1] ** -0.5 if scaling is None else scaling)
    scores = torch.tanh(scores / softcap) * softcap
    scores = scores.masked_fill(~_seen(query.shape[2], window, query.device), float("-inf"))
    shares = functional.dropout(torch.softmax(scores.float(), dim=-1).to(value.dtype), dropout)
    return (shares @ value).transpose(1, 2)


def _seen(tokens: int, window: int | None, device: torch.device) -> Tensor:
    """Whether the token of a row sees that of a column, shape ``(tokens, tokens)``."""
    return torch.ones(tokens, tokens, dtype=torch.bool, device=device).tril().triu(1 - (window or tokens))


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
