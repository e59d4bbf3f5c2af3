"""new_rows.safetensors of a vocabulary: written whole, and read only for the vocabulary they were made for."""

from __future__ import annotations

import json
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import save_file

from studio.errors import StudioError
from studio.models.files import ROWS, ModelFiles
from studio.models.new_rows import NewRows, read_rows
from studio.tokenizer.vocabulary import Vocabulary, hash_of
from studio.workspace import disk_error


def save_rows(folder: Path, rows: NewRows, vocabulary: Vocabulary, tokenizer: Path | None = None) -> None:
    """Write new_rows.safetensors into `folder`, whole or not at all; `tokenizer` as for `load_rows`.

    Raises:
        StudioError: ``disk.full`` or ``workspace.not_writable``.
    """
    tensors = {"ids": rows.ids.long(), "input": rows.input.float().contiguous()}
    if rows.output is not None:
        tensors["output"] = rows.output.float().contiguous()
    about = {
        "base_hash": vocabulary.base_hash,
        "vocabulary_hash": hash_of(tokenizer or folder),
        "tokens": json.dumps(vocabulary.extension.pieces, ensure_ascii=False),
    }
    aside = folder / f".{ROWS}"
    try:
        save_file(tensors, aside, metadata=about)
        aside.replace(folder / ROWS)
    except (OSError, SafetensorError) as error:
        aside.unlink(missing_ok=True)
        raise disk_error(error if isinstance(error, OSError) else OSError(str(error)), folder) from error


def load_rows(folder: Path, vocabulary: Vocabulary, tokenizer: Path | None = None) -> NewRows:
    """Read the rows in `folder`, made for `vocabulary`.

    Args:
        folder: With new_rows.safetensors.
        vocabulary: What the rows belong to.
        tokenizer: Where the vocabulary lies, if not in `folder`: a run keeps it apart from what its stages learned.

    Raises:
        StudioError: ``rows.missing``, ``rows.broken``, or ``rows.other_vocabulary`` if they were made for another one.
    """
    rows, about = read_rows(folder / ROWS)
    if (about.get("base_hash"), about.get("vocabulary_hash")) != (vocabulary.base_hash, hash_of(tokenizer or folder)):
        raise StudioError("rows.other_vocabulary", file=str(folder / ROWS))
    return rows


def check_base(files: ModelFiles, vocabulary: Vocabulary) -> None:
    """Refuse a base whose tokenizer is not the one that `vocabulary` extends.

    Raises:
        StudioError: ``rows.other_base``.
    """
    if hash_of(files.tokenizer_folder) != vocabulary.base_hash:
        raise StudioError("rows.other_base", model=files.reference, base=vocabulary.base)
