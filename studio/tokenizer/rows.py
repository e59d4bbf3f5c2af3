"""new_rows.safetensors, and a base with new rows in memory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from studio.errors import StudioError
from studio.models.files import ModelFiles
from studio.tokenizer.embeddings import NewRows
from studio.tokenizer.starts import ROWS
from studio.tokenizer.vocabulary import Vocabulary, hash_of
from studio.workspace import disk_error

MULTIPLE = 64
"""Tables are a multiple of 64 rows long: other lengths cost matrix units time, and trl's tied path its convergence."""


def save_rows(folder: Path, rows: NewRows, vocabulary: Vocabulary) -> None:
    """Write new_rows.safetensors into the folder of `vocabulary`, whole or not at all.

    Raises:
        StudioError: ``disk.full`` or ``workspace.not_writable``.
    """
    tensors = {"ids": rows.ids.long(), "input": rows.input.float().contiguous()}
    if rows.output is not None:
        tensors["output"] = rows.output.float().contiguous()
    about = {
        "base_hash": vocabulary.base_hash,
        "vocabulary_hash": hash_of(folder),
        "tokens": json.dumps(vocabulary.extension.pieces, ensure_ascii=False),
    }
    aside = folder / f".{ROWS}"
    try:
        save_file(tensors, aside, metadata=about)
        aside.replace(folder / ROWS)
    except (OSError, SafetensorError) as error:
        aside.unlink(missing_ok=True)
        raise disk_error(error if isinstance(error, OSError) else OSError(str(error)), folder) from error


def load_rows(folder: Path, vocabulary: Vocabulary) -> NewRows:
    """Read the rows beside a vocabulary.

    Raises:
        StudioError: ``rows.missing``, ``rows.broken``, or ``rows.other_vocabulary`` if they were made for another one.
    """
    path = folder / ROWS
    if not path.is_file():
        raise StudioError("rows.missing", folder=str(folder))
    try:
        with safe_open(path, framework="pt") as file:
            about = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it cannot be iterated)
        rows = NewRows(tensors["ids"], tensors["input"], tensors.get("output"))
    except (SafetensorError, OSError, KeyError) as error:
        raise StudioError("rows.broken", file=str(path)) from error
    if (about.get("base_hash"), about.get("vocabulary_hash")) != (vocabulary.base_hash, hash_of(folder)):
        raise StudioError("rows.other_vocabulary", file=str(path))
    return rows


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


def check_base(files: ModelFiles, vocabulary: Vocabulary) -> None:
    """Refuse a base whose tokenizer is not the one that `vocabulary` extends.

    Raises:
        StudioError: ``rows.other_base``.
    """
    if hash_of(files.tokenizer_folder) != vocabulary.base_hash:
        raise StudioError("rows.other_base", model=files.reference, base=vocabulary.base)
