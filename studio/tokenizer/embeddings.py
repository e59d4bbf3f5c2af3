"""Start rows: what embedding and head hold for a new token before anything is trained.

A row is made from the rows of the base tokens that spell the piece. A tied base has one row for both sides, so what a
start does lives in that row. Rows are never made longer to match the old ones: in a tied head the shorter mean is what
keeps new tokens quiet (SmolLM2 +4,000, Persian bits per byte 2.36 as it is and 5.19 norm-matched, base 2.06).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from studio.models.new_rows import NewRows
from studio.tokenizer.families import Kind
from studio.tokenizer.vocabulary import Vocabulary

if TYPE_CHECKING:
    import torch

ClosedForm = Literal["random", "mean", "weighted", "last"]
CLOSED_FORMS: tuple[ClosedForm, ...] = ("random", "mean", "weighted", "last")


@dataclass(frozen=True, slots=True)
class Tables:
    """The old rows of a base: `input` ``(rows, hidden)``, `output` the same or None when tied, in the base's dtype.

    `deviation` is the standard deviation that the family draws new rows with (``initializer_range``).
    """

    input: torch.Tensor
    output: torch.Tensor | None
    deviation: float


def tables_of(model: Any) -> Tables:
    """The tables of a `transformers` causal model; the head counts as tied when it is the embedding's own memory."""
    embedding, head = model.get_input_embeddings().weight, model.get_output_embeddings().weight
    tied = embedding.data_ptr() == head.data_ptr()
    config = model.config.get_text_config()
    return Tables(embedding.detach(), None if tied else head.detach(), float(config.initializer_range))


def spell(vocabulary: Vocabulary, ids: dict[str, int]) -> list[list[int]]:
    """The base tokens that each new piece is made of, in reading order; a missing letter is made of its bytes.

    They are the leaves of the piece's tree of merges, and so exactly what the base gives wherever the piece stands.

    Args:
        vocabulary: What was learned.
        ids: The model's vocabulary, base or extended.
    """
    found = {letter: [ids[f"<0x{byte:02X}>"] for byte in letter.encode("utf8")] for letter in vocabulary.letters}
    for left, right in vocabulary.merges:
        found[left + right] = [
            part for half in (left, right) for part in (found[half] if half in found else [ids[half]])
        ]
    return [found[piece] for piece in vocabulary.extension.pieces]


def closed_form(method: ClosedForm, vocabulary: Vocabulary, ids: dict[str, int], tables: Tables, seed: int) -> NewRows:
    """Start rows that need no text.

    Args:
        method: ``mean`` of the parts' rows, the floor; ``weighted`` by the bytes each part spells; ``last`` part's
            input row, with the mean for an untied head (for a tied one there is only the last); ``random`` normal
            rows, as Persian-Phi starts (2512.07454).
        vocabulary: What was learned.
        ids: The model's vocabulary.
        tables: The base's rows.
        seed: For ``random``.
    """
    import torch

    parts = spell(vocabulary, ids)
    new = torch.arange(vocabulary.first, vocabulary.first + len(parts))
    if method == "random":
        source = torch.Generator().manual_seed(seed)
        shape = (len(parts), tables.input.shape[1])
        drawn = [tables.deviation * torch.randn(shape, generator=source) for _ in range(2)]
        return NewRows(new, drawn[0], None if tables.output is None else drawn[1])
    weights = _bytes_spelled(parts, ids, vocabulary.kind) if method == "weighted" else None
    read = _last(tables.input, parts) if method == "last" else weighted_mean(tables.input, parts, weights)
    written = None if tables.output is None else weighted_mean(tables.output, parts, weights)
    return NewRows(new, read, written)


def weighted_mean(
    table: torch.Tensor, parts: Sequence[Sequence[int]], weights: Sequence[Sequence[float]] | None = None
) -> torch.Tensor:
    """Mean of the rows of each list of `parts`, ``(n, hidden)`` in fp32 on the processor; equal weights by default."""
    import torch

    flat = torch.tensor([part for each in parts for part in each])
    offsets = torch.tensor([0, *map(len, parts)]).cumsum(0)[:-1]
    rows = table[flat.to(table.device)].float().cpu()
    if weights is None:
        return torch.nn.functional.embedding_bag(torch.arange(len(flat)), rows, offsets, mode="mean")
    shares = torch.tensor([weight / sum(each) for each in weights for weight in each])
    return torch.nn.functional.embedding_bag(
        torch.arange(len(flat)), rows, offsets, mode="sum", per_sample_weights=shares
    )


def _last(table: torch.Tensor, parts: Sequence[Sequence[int]]) -> torch.Tensor:
    import torch

    return table[torch.tensor([part[-1] for part in parts]).to(table.device)].float().cpu()


def _bytes_spelled(parts: Sequence[Sequence[int]], ids: dict[str, int], kind: Kind) -> list[list[float]]:
    # A character of the byte-level alphabet is a byte and so is "<0xD9>"; any other piece is its UTF-8.
    used = {part for each in parts for part in each}
    length: dict[int, float] = {}
    for piece, place in ids.items():
        if place in used:
            single = piece.startswith("<0x") and kind == "byte_fallback"
            length[place] = 1.0 if single else len(piece if kind == "byte_level" else piece.encode("utf8"))
    return [[length[part] for part in each] for each in parts]
