"""Rows of the vocabulary that learn, beside old ones that do not.

The model's own tables stay frozen in their dtype. Over a span of ids lie rows in fp32: an update of 1e-5 would vanish
in 85% of bf16 values. No gradient, state or copy is made for any other row.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from studio.errors import StudioError
from studio.models.new_rows import NewRows, SplitEmbedding, place_rows


class TrainedRows(nn.Module):  # type: ignore[misc]  # torch is untyped
    """Rows ``first … first + len`` of both tables, in fp32.

    Attributes:
        input: Shape ``(rows, hidden)``.
        output: The same for the head; None where it is tied, and `input` serves both sides.
    """

    def __init__(self, first: int, input_: Tensor, output: Tensor | None) -> None:
        super().__init__()
        self.first = first
        self.input = nn.Parameter(input_.detach().float().clone())
        self.output = None if output is None else nn.Parameter(output.detach().float().clone())
        self._fixed = 0

    @property
    def head(self) -> nn.Parameter:
        """The rows that logits are made with."""
        return self.input if self.output is None else self.output

    def learn(self, from_id: int | None) -> None:
        """Let the rows from the id `from_id` on learn; None holds all of them still."""
        self._fixed = 0 if from_id is None else max(0, from_id - self.first)
        for table in self.parameters():
            table.requires_grad_(from_id is not None)

    def hold_old(self) -> None:
        """Take the gradient off rows that shall not learn in this stage; before each optimizer step."""
        if self._fixed:
            for table in self.parameters():
                if table.grad is not None:
                    table.grad[: self._fixed] = 0

    def place_in(self, head: Any) -> None:
        """Write the rows into the table of `head`, for whoever makes logits with it rather than with the loss.

        Training looks neither there nor, at these ids, into a tied embedding.
        """
        with torch.no_grad():
            head.weight[self.first : self.first + len(self.input)] = self.head.to(head.weight.dtype)

    def rows(self) -> NewRows:
        """The rows as they are now, for a file or a model."""
        ids = torch.arange(self.first, self.first + len(self.input))
        output = None if self.output is None else self.output.detach().cpu()
        return NewRows(ids, self.input.detach().cpu(), output)

    def put(self, rows: NewRows) -> None:
        """Take over `rows` of the same ids.

        Raises:
            StudioError: ``rows.other_shape``.
        """
        if rows.input.shape != self.input.shape or (rows.output is None) != (self.output is None):
            width, expected = rows.input.shape[1], self.input.shape[1]
            raise StudioError("rows.other_shape", width=width, expected=expected)
        with torch.no_grad():
            self.input.copy_(rows.input)
            if self.output is not None and rows.output is not None:
                self.output.copy_(rows.output)


def split_tables(model: Any, rows: NewRows, *, whole: bool) -> TrainedRows:
    """Put rows that can learn beside the frozen tables of `model`.

    Args:
        model: A `transformers` causal model, nothing wrapped round it yet.
        rows: Rows of new tokens, of ids without a gap; they are placed first, so that every id exists.
        whole: Whether all rows shall be able to learn, as in the papers, and not only the new ones.

    Raises:
        StudioError: ``rows.other_shape``.
    """
    place_rows(model, rows)
    embedding, head = model.get_input_embeddings(), model.get_output_embeddings()
    tied = embedding.weight.data_ptr() == head.weight.data_ptr()
    if whole:
        trained = TrainedRows(0, embedding.weight, None if tied else head.weight)
    else:
        first = int(rows.ids[0])
        assert torch.equal(rows.ids, torch.arange(first, first + len(rows.ids))), "new ids have a gap"
        trained = TrainedRows(first, rows.input, rows.output)
    trained.to(embedding.weight.device)
    model.set_input_embeddings(SplitEmbedding(embedding, trained.input, trained.first))
    return trained
