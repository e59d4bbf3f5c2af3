"""The vocabulary of one side: its new rows stand beside the shared tables, which no other side notices."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from studio.models.new_rows import SplitEmbedding, read_rows


class _Head(nn.Module):  # type: ignore[misc]  # torch is untyped
    """The shared head, with logits of its own for ids ``first …``: in the place of padding, or after the end."""

    def __init__(self, table: nn.Module, rows: Tensor, first: int) -> None:
        super().__init__()
        self.table, self.first = table, first
        self.register_buffer("rows", rows)

    @property
    def weight(self) -> Tensor:
        """The shared table."""
        weight: Tensor = self.table.weight
        return weight

    def forward(self, hidden: Tensor) -> Tensor:
        old, new = self.table(hidden), hidden @ self.rows.t()
        return torch.cat([old[..., : self.first], new, old[..., self.first + len(self.rows) :]], dim=-1)


class Words:
    """Both modules of a side with a vocabulary, over the tables of `model`."""

    def __init__(self, model: Any, file: Path) -> None:
        rows, _ = read_rows(file)
        embedding, head = model.get_input_embeddings(), model.get_output_embeddings()
        first, kind = int(rows.ids[0]), {"device": embedding.weight.device, "dtype": embedding.weight.dtype}
        read = rows.input.to(**kind)
        written = read if rows.output is None else rows.output.to(**kind)
        self.embedding = SplitEmbedding(embedding, nn.Parameter(read, requires_grad=False), first)
        self.head = _Head(head, written, first)

    @property
    def bytes(self) -> int:
        """What the rows take in memory."""
        tables = {module.rows.data_ptr(): module.rows.nbytes for module in (self.embedding, self.head)}
        return sum(tables.values())


class Tables:
    """Which vocabulary a model answers with; None is its own."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._own = (model.get_input_embeddings(), model.get_output_embeddings())
        self._current: Words | None = None

    def read(self, file: Path) -> Words:
        """The rows in `file` beside the model's own tables.

        Raises:
            StudioError: ``rows.missing`` or ``rows.broken``.
        """
        self.use(None)
        return Words(self._model, file)

    def use(self, words: Words | None) -> None:
        """Answer with `words` from now on."""
        if words is self._current:
            return
        embedding, head = self._own if words is None else (words.embedding, words.head)
        self._model.set_input_embeddings(embedding)
        self._model.set_output_embeddings(head)
        self._current = words
