"""The tables of a model, embedding and head: which tensors they are, and how long they become with new rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from studio.errors import StudioError
from studio.models.new_rows import NewRows, grow, table_length
from studio.publish.shards import DTYPES, Shard

_EMBEDDINGS = ("embed_tokens.weight", "wte.weight", "embed_in.weight")
_HEADS = ("lm_head.weight", "embed_out.weight")


@dataclass(frozen=True, slots=True)
class Tables:
    """New rows by the name of the tensor they go to, their ids, and the length of all tables afterwards."""

    rows: Mapping[str, torch.Tensor]
    ids: torch.Tensor
    length: int

    def shape(self, name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape that the tensor `name` will have."""
        return (self.length, *shape[1:]) if name in self.rows else shape

    def grown(self, name: str, table: torch.Tensor) -> torch.Tensor:
        """`table` with its new rows, in its own dtype."""
        return grow(table, self.ids, self.rows[name], self.length)


NONE = Tables({}, torch.empty(0, dtype=torch.int64), 0)


def find_tables(shards: Iterable[Shard], rows: NewRows) -> Tables:
    """The tables of a base for `rows`; a head stored beside its tied embedding gets the same ones.

    Raises:
        StudioError: ``publish.base_quantised``, ``rows.other_shape`` or ``rows.no_table``.
    """
    found: dict[str, torch.Tensor] = {}
    lengths = []
    for name, entry in ((name, entry) for shard in shards for name, entry in shard.entries.items()):
        if not name.endswith((*_EMBEDDINGS, *_HEADS)):
            continue
        if entry.dtype not in DTYPES:
            raise StudioError("publish.base_quantised", dtype=entry.dtype)
        if entry.shape[1:] != rows.input.shape[1:]:
            raise StudioError("rows.other_shape", width=rows.input.shape[1], expected=entry.shape[-1])
        found[name] = rows.input if name.endswith(_EMBEDDINGS) or rows.output is None else rows.output
        lengths.append(entry.shape[0])
    if not any(name.endswith(_EMBEDDINGS) for name in found):
        raise StudioError("rows.no_table")
    return Tables(found, rows.ids, table_length(min(lengths), int(rows.ids.max()) + 1))


def lengthened(config: Mapping[str, Any], length: int) -> dict[str, Any]:
    """`config` for tables of `length` rows; a multimodal one names it for its language part."""
    kept, inner = dict(config), config.get("text_config")
    if isinstance(inner, dict):
        kept["text_config"] = {**inner, "vocab_size": length}
    return {**kept, "vocab_size": length} if "vocab_size" in config or inner is None else kept
