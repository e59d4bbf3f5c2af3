"""What a run was made with: versions, device, and hashes of the base, its tokenizer and the data."""

from __future__ import annotations

import hashlib
import json
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from studio.errors import StudioError
from studio.models.files import ROWS, ModelFiles

_LIBRARIES = ("torch", "transformers", "trl", "peft", "tokenizers", "accelerate", "safetensors")
FILE = "environment.json"


def describe_environment(
    base: ModelFiles, datasets: dict[str, Path], dtype: torch.dtype, vocabulary: Path | None = None
) -> dict[str, Any]:
    """Everything besides the recipe that decides what a run comes to."""
    cuda = torch.cuda.is_available()
    return {
        "python": platform.python_version(),
        "versions": {name: version(name) for name in _LIBRARIES},
        "device": torch.cuda.get_device_name() if cuda else platform.processor() or platform.machine(),
        "threads": torch.get_num_threads(),
        "dtype": str(dtype).removeprefix("torch."),
        "base": base.reference,
        "base_sha256": _hash(sorted(base.folder.glob("*.safetensors"))),
        "tokenizer_sha256": _hash([base.tokenizer_folder / "tokenizer.json"]),
        "vocabulary_sha256": None if vocabulary is None else _hash([vocabulary / "tokenizer.json", vocabulary / ROWS]),
        "datasets": {
            name: {"sha256": json.loads((folder / "manifest.json").read_text(encoding="utf8")).get("sha256")}
            for name, folder in datasets.items()
        },
    }


def freeze_environment(run: Path, now: dict[str, Any]) -> None:
    """Write ``environment.json`` at a run's first start; at a later one hold the run to the same base and data.

    Raises:
        StudioError: ``training.base_changed``, ``training.vocabulary_changed`` or ``training.data_changed``: the rest
            of the run would be another one.
    """
    path = run / FILE
    if not path.exists():
        path.write_text(json.dumps(now, indent=2, ensure_ascii=False), encoding="utf8")
        return
    then = json.loads(path.read_text(encoding="utf8"))
    if any(then[key] != now[key] for key in ("base_sha256", "tokenizer_sha256")):
        raise StudioError("training.base_changed", base=now["base"])
    if then.get("vocabulary_sha256") != now["vocabulary_sha256"]:
        raise StudioError("training.vocabulary_changed")
    for name, facts in now["datasets"].items():
        if then["datasets"].get(name) != facts:
            raise StudioError("training.data_changed", dataset=name)


def _hash(paths: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()
