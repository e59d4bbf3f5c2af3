"""Rows of new tokens in memory and in new_rows.safetensors, and a model with them in its tables."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from studio.errors import StudioError

MULTIPLE = 64
"""Tables are a multiple of 64 rows long: other lengths cost matrix units time, and trl's tied path its convergence."""


@dataclass(frozen=True, slots=True)
class NewRows:
    """Rows of new tokens: `ids` ``(n,)`` int64, `input` ``(n, hidden)`` fp32, `output` the same or None when tied."""

    ids: torch.Tensor
    input: torch.Tensor
    output: torch.Tensor | None


def read_rows(path: Path) -> tuple[NewRows, dict[str, str]]:
    """The rows in a file, and what the file says about them.

    Raises:
        StudioError: ``rows.missing`` or ``rows.broken``.
    """
    if not path.is_file():
        raise StudioError("rows.missing", folder=str(path.parent))
    try:
        with safe_open(path, framework="pt") as file:
            about = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it cannot be iterated)
        return NewRows(tensors["ids"], tensors["input"], tensors.get("output")), about
    except (SafetensorError, OSError, KeyError) as error:
        raise StudioError("rows.broken", file=str(path)) from error


def table_length(rows: int, needed: int) -> int:
    """Rows of a table for ids below `needed`: what there is where it suffices, else the next multiple of 64."""
    return max(rows, -(-needed // MULTIPLE) * MULTIPLE)


def grow(table: torch.Tensor, ids: torch.Tensor, new: torch.Tensor, length: int) -> torch.Tensor:
    """`table` made `length` rows long with `new` at `ids`, in its own dtype.

    Padded tables (Qwen3 has 151,936 rows for 151,669 tokens) are filled before they grow. Rows that belong to no token
    get the mean of the old ones, which no text asks for.
    """
    grown = table.new_empty(length, table.shape[1])
    grown[: len(table)] = table
    grown[len(table) :] = table.float().mean(0).to(table.dtype)
    grown[ids.to(table.device)] = new.to(table.device, table.dtype)
    return grown


def place_rows(model: Any, rows: NewRows) -> None:
    """Write new rows into a model by id, making its tables longer where that is needed and never shorter.

    Tied tables stay tied.

    Args:
        model: A `transformers` causal model.
        rows: Rows of the new ids.

    Raises:
        StudioError: ``rows.other_shape`` if they are of another width, or of a tied base and the model's is not.
    """
    embedding, head = model.get_input_embeddings(), model.get_output_embeddings()
    tied = embedding.weight.data_ptr() == head.weight.data_ptr()
    if rows.input.shape[1] != embedding.weight.shape[1] or (rows.output is None) != tied:
        raise StudioError("rows.other_shape", width=rows.input.shape[1], expected=embedding.weight.shape[1])
    length = table_length(len(embedding.weight), int(rows.ids.max()) + 1)
    with torch.no_grad():
        read = grow(embedding.weight, rows.ids, rows.input, length)
        written = None if rows.output is None else grow(head.weight, rows.ids, rows.output, length)
        if length > len(embedding.weight):
            model.resize_token_embeddings(length, mean_resizing=False)
        model.get_input_embeddings().weight.copy_(read)
        if written is not None:
            model.get_output_embeddings().weight.copy_(written)


class SplitEmbedding(nn.Module):  # type: ignore[misc]  # torch is untyped
    """An embedding over `table` whose ids ``first …`` have `rows` of their own; the table may end before them."""

    def __init__(self, table: nn.Module, rows: nn.Parameter, first: int) -> None:
        super().__init__()
        self.table, self.rows, self.first = table, rows, first

    @property
    def weight(self) -> torch.Tensor:
        """The table, for whoever asks a model for its shape and dtype."""
        weight: torch.Tensor = self.table.weight
        return weight

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Rows of `ids`, in the table's dtype and scaled as the family does."""
        places = ids - self.first
        inside = (places >= 0) & (places < len(self.rows))
        old: torch.Tensor = self.table(ids.masked_fill(inside, 0))
        new = nn.functional.embedding(places.clamp(0, len(self.rows) - 1), self.rows).to(old.dtype)
        scale = getattr(self.table, "embed_scale", None)
        if scale is not None:
            new = new * scale.to(old.dtype)  # Gemma rounds the row before it scales it, and the scale too
        return torch.where(inside[..., None], new, old)
