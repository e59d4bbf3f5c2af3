"""Cross-entropy of the labelled positions only: the head never sees a token that carries no loss."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

CHUNK_ELEMENTS = 8_000_000  # logits held at once: 32 MB in fp32, so that a chunk stays in the processor's cache


def labelled_loss(
    hidden: Tensor, head: Tensor, labels: Tensor, items: Tensor | float, softcap: float | None
) -> Tensor:
    """Sum of the cross-entropy over labelled positions, divided by `items`.

    Equal to ``cross_entropy(hidden[:-1] @ head.T, labels[1:])`` with logits rounded to the dtype of `hidden`, but only
    for positions whose next token has a label, in chunks, with the gradient taken on the way forward. `head` is
    frozen: it gets no gradient.

    Args:
        hidden: Last hidden states, shape ``(tokens, hidden)``.
        head: Output embeddings, shape ``(vocabulary, hidden)``.
        labels: Shape ``(tokens,)``, ``-100`` where no loss is taken; the first of every document must be ``-100``.
        items: Labelled tokens of the whole optimizer step.
        softcap: Logits become ``softcap * tanh(logits / softcap)``, as Gemma-2 has it; None leaves them.

    Returns:
        Scalar in fp32.
    """
    positions = (labels[1:] != -100).nonzero().squeeze(1)
    chosen = hidden.index_select(0, positions)
    targets = labels[1:].index_select(0, positions)
    loss: Tensor = _LabelledLoss.apply(chosen, head, targets, 1.0 / max(float(items), 1.0), softcap)
    return loss


class _LabelledLoss(torch.autograd.Function):  # type: ignore[misc]  # torch is untyped
    @staticmethod
    def forward(
        ctx: Any, chosen: Tensor, head: Tensor, targets: Tensor, scale: float, softcap: float | None
    ) -> Tensor:
        total = torch.zeros((), dtype=torch.float32, device=chosen.device)
        gradient = torch.empty_like(chosen)
        chunk = max(16, CHUNK_ELEMENTS // head.shape[0])
        for start in range(0, len(targets), chunk):
            part, wanted = chosen[start : start + chunk], targets[start : start + chunk, None]
            logits = (part @ head.t()).float()
            if softcap is not None:
                logits = logits.div_(softcap).tanh_()
                slope = 1 - logits.square()
                logits = logits.mul_(softcap)
            logs = torch.log_softmax(logits, dim=-1)
            total -= logs.gather(1, wanted).sum()
            pull = logs.exp_()
            pull.scatter_add_(1, wanted, pull.new_full(wanted.shape, -1.0))
            if softcap is not None:
                pull.mul_(slope)
            torch.matmul(pull.mul_(scale).to(head.dtype), head, out=gradient[start : start + chunk])
        ctx.save_for_backward(gradient)
        return total * scale

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = ctx.saved_tensors
        return gradient * upstream.to(gradient.dtype), None, None, None, None
