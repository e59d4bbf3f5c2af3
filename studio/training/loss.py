"""Cross-entropy of the labelled positions only: the head never sees a token that carries no loss."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

CHUNK_ELEMENTS = 8_000_000  # logits held at once: 32 MB in fp32, so that a chunk stays in the processor's cache
GRID = 32  # positions of the last chunk, on a processor: oneDNN compiles and keeps a product for every number of them


def labelled_loss(
    hidden: Tensor,
    head: Tensor,
    labels: Tensor,
    items: Tensor | float,
    softcap: float | None,
    rows: Tensor | None = None,
    first: int = 0,
    *,
    expected: float = 1.0,
) -> Tensor:
    """Sum of the cross-entropy over labelled positions, divided by `items`.

    Equal to ``cross_entropy(hidden[:-1] @ head.T, labels[1:])`` with logits rounded to the dtype of `hidden`, but only
    for positions whose next token has a label, in chunks, with the gradient taken on the way forward. `head` is
    frozen: it gets no gradient. Where `rows` are given they stand in the head's place at ids ``first …``, and get one.

    Args:
        hidden: Last hidden states, shape ``(tokens, hidden)``.
        head: Output embeddings, shape ``(vocabulary, hidden)``.
        labels: Shape ``(tokens,)``, ``-100`` where no loss is taken; the first of every document must be ``-100``.
        items: Labelled tokens of the whole optimizer step.
        softcap: Logits become ``softcap * tanh(logits / softcap)``, as Gemma-2 has it; None leaves them.
        rows: Output embeddings that learn, shape ``(rows, hidden)``, fp32.
        first: The id of the first of them.
        expected: The gradient that will come from above. It is worked in before anything is rounded to the dtype of
            `head`: in fp16 the pull of a single token out of a step of thousands would be zero without it.

    Returns:
        Scalar in fp32.
    """
    positions = (labels[1:] != -100).nonzero().squeeze(1)
    targets = labels[1:].index_select(0, positions)
    if hidden.device.type == "cpu" and len(positions):
        spare = -len(positions) % GRID
        positions = torch.cat([positions, positions[-1:].expand(spare)])  # without a target: no loss, no gradient
    chosen = hidden.index_select(0, positions)
    scale = 1.0 / max(float(items), 1.0)
    loss: Tensor = _LabelledLoss.apply(chosen, head, targets, scale, softcap, rows, first, expected)
    return loss


class _LabelledLoss(torch.autograd.Function):  # type: ignore[misc]  # torch is untyped
    @staticmethod
    def forward(
        ctx: Any,
        chosen: Tensor,
        head: Tensor,
        targets: Tensor,
        scale: float,
        softcap: float | None,
        rows: Tensor | None,
        first: int,
        expected: float,
    ) -> Tensor:
        total = torch.zeros((), dtype=torch.float32, device=chosen.device)
        gradient = torch.empty_like(chosen)
        blocks = _Blocks(head, rows, first, learn=ctx.needs_input_grad[5])
        chunk = max(16, CHUNK_ELEMENTS // head.shape[0])
        for start in range(0, len(chosen), chunk):
            part, wanted = chosen[start : start + chunk], targets[start : start + chunk, None]
            logits = blocks.logits(part).float()
            if softcap is not None:
                logits = logits.div_(softcap).tanh_()
                slope = 1 - logits.square()
                logits = logits.mul_(softcap)
            logs = torch.log_softmax(logits, dim=-1)
            total -= logs.gather(1, wanted).sum()
            pull = logs.exp_()
            pull.scatter_add_(1, wanted, pull.new_full(wanted.shape, -1.0))
            pull[len(wanted) :] = 0
            if softcap is not None:
                pull.mul_(slope)
            blocks.pull(pull.mul_(scale * expected).to(head.dtype), part, gradient[start : start + chunk])
        kept = [gradient] if blocks.gradient is None else [gradient, blocks.gradient]
        ctx.save_for_backward(*kept)
        ctx.expected = expected
        return total * scale

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        gradient, *rest = ctx.saved_tensors
        factor = upstream / ctx.expected
        of_rows = rest[0] * factor if rest else None
        return gradient * factor.to(gradient.dtype), None, None, None, None, of_rows, None, None


class _Blocks:
    """The head in up to three parts: the frozen table before the learning rows, the rows, the table after them.

    `gradient` gathers that of the rows in fp32; nothing of the size of the table is ever made.
    """

    def __init__(self, head: Tensor, rows: Tensor | None, first: int, *, learn: bool) -> None:
        self.gradient = torch.zeros_like(rows) if rows is not None and learn else None
        if rows is None:
            self._parts = [(0, head)]
            self._rows = -1
            return
        end = first + len(rows)
        parts = [(0, head[:first]), (first, rows.detach().to(head.dtype)), (end, head[end:])]
        self._parts = [(start, table) for start, table in parts if len(table)]
        self._rows = next(place for place, (start, _) in enumerate(self._parts) if start == first)

    def logits(self, part: Tensor) -> Tensor:
        """``part @ head.T``, shape ``(positions, vocabulary)``."""
        if len(self._parts) == 1:
            return part @ self._parts[0][1].t()
        logits = part.new_empty(len(part), sum(len(table) for _, table in self._parts))
        for start, table in self._parts:
            logits[:, start : start + len(table)] = part @ table.t()
        return logits

    def pull(self, pull: Tensor, part: Tensor, into: Tensor) -> None:
        """Write the gradient of `part` into `into`, and add that of the rows, given the gradient of the logits."""
        for place, (start, table) in enumerate(self._parts):
            here = pull[:, start : start + len(table)]
            if place == 0:
                torch.matmul(here, table, out=into)
            else:
                into.addmm_(here, table)
            if place == self._rows and self.gradient is not None:
                self.gradient += (here.t() @ part).float()
