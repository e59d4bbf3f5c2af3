"""Are the weights of a folder there and whole? Told from file names, sizes and safetensors headers, without torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from studio.errors import StudioError

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
_PICKLED = ("*.bin", "*.pt", "*.pth", "*.ckpt")
_HEADER_LIMIT = 100_000_000  # the format's own limit; more than that is not a header


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files that make the model in `folder`, each present and of full length.

    Raises:
        StudioError: ``model.no_weights``, ``model.only_pickle``, ``model.missing_shard``, ``model.broken_file``.
    """
    if (folder / INDEX).is_file():
        names = _shards(folder)
        missing = [name for name in names if not (folder / name).is_file()]
        if missing:
            raise StudioError("model.missing_shard", folder=str(folder), file=missing[0], missing=len(missing))
    elif (folder / SINGLE).is_file():
        names = [SINGLE]
    elif any(path for pattern in _PICKLED for path in folder.glob(pattern)):
        raise StudioError("model.only_pickle", folder=str(folder))
    else:
        raise StudioError("model.no_weights", folder=str(folder))
    paths = [folder / name for name in names]
    for path in paths:
        _check_length(path)
    return paths


def _shards(folder: Path) -> list[str]:
    try:
        shards = json.loads((folder / INDEX).read_text(encoding="utf8"))["weight_map"].values()
        return sorted({str(name) for name in shards})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StudioError("model.broken_file", folder=str(folder), file=INDEX) from error


def _check_length(path: Path) -> None:
    # A download that broke off has a header that promises more than the file holds.
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header: dict[str, Any] = json.loads(file.read(length) if length <= _HEADER_LIMIT else b"")
        tensors = [entry for name, entry in header.items() if name != "__metadata__"]
        end = 8 + length + max((entry["data_offsets"][1] for entry in tensors), default=0)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise StudioError("model.broken_file", folder=str(path.parent), file=path.name) from error
    if path.stat().st_size < end:
        raise StudioError("model.broken_file", folder=str(path.parent), file=path.name)
