"""What a run was made with: its recipe, versions, device, and hashes of the base, its tokenizer and the data."""

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
from studio.recipe_changes import ENVIRONMENT, check_recipe
from studio.recipes import Recipe

_LIBRARIES = ("torch", "transformers", "trl", "peft", "tokenizers", "accelerate", "safetensors")


def describe_environment(
    recipe: Recipe, base: ModelFiles, datasets: dict[str, Path], dtype: torch.dtype, vocabulary: Path | None = None
) -> dict[str, Any]:
    """Everything that decides what a run comes to; the order of the data each stage adds (``order.json``)."""
    cuda = torch.cuda.is_available()
    return {
        "recipe": recipe.model_dump(mode="json"),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in _LIBRARIES},
        "device": torch.cuda.get_device_name() if cuda else platform.processor() or platform.machine(),
        "threads": torch.get_num_threads(),
        "dtype": str(dtype).removeprefix("torch."),
        "base": base.reference,
        "base_sha256": base_hash(base.folder),
        "tokenizer_sha256": _hash([base.tokenizer_folder / "tokenizer.json"]),
        "vocabulary_sha256": None if vocabulary is None else _hash([vocabulary / "tokenizer.json", vocabulary / ROWS]),
        "datasets": {
            name: {"sha256": json.loads((folder / "manifest.json").read_text(encoding="utf8")).get("sha256")}
            for name, folder in datasets.items()
        },
    }


def freeze_environment(run: Path, now: dict[str, Any], recipe: Recipe) -> None:
    """Write ``environment.json`` at a run's first start; at a later one hold the run to what it says.

    A run that took stages over from another one is held to their data, and adds its own.

    Raises:
        StudioError: ``training.base_changed``, ``training.vocabulary_changed``, ``training.data_changed`` or
            ``training.changed``: the rest of the run would be another one.
    """
    path = run / ENVIRONMENT
    if not path.exists():
        _write(path, now)
        return
    then = json.loads(path.read_text(encoding="utf8"))
    if any(then[key] != now[key] for key in ("base_sha256", "tokenizer_sha256")):
        raise StudioError("training.base_changed", base=now["base"])
    if then.get("vocabulary_sha256") != now["vocabulary_sha256"]:
        raise StudioError("training.vocabulary_changed")
    for name, facts in now["datasets"].items():
        if then["datasets"].get(name, facts) != facts:
            raise StudioError("training.data_changed", dataset=name)
    check_recipe(run, recipe)
    if now["datasets"].keys() - then["datasets"].keys():
        _write(path, then | {"datasets": now["datasets"]})


def base_hash(folder: Path) -> str:
    """SHA-256 over the weight files of a base, as runs keep it; every byte is read."""
    return _hash(sorted(folder.glob("*.safetensors")))


def _write(path: Path, environment: dict[str, Any]) -> None:
    aside = path.with_suffix(".incoming")
    aside.write_text(json.dumps(environment, indent=2, ensure_ascii=False), encoding="utf8")
    aside.replace(path)


def _hash(paths: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()
