"""What is known of a run on disk, gathered for its model card."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from studio.models.source import read_source
from studio.publish.card import BaseFacts, DataFacts
from studio.recipes import Recipe, load_recipe
from studio.settings import Settings

_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")
_QUANTISED = re.compile(r"dequantised from (\S+)")


def run_folder(adapter: Path, settings: Settings) -> Path | None:
    """The run that `adapter` belongs to, or None if it lies elsewhere."""
    runs, adapter = settings.runs.resolve(), adapter.resolve()
    return runs / adapter.relative_to(runs).parts[0] if adapter.is_relative_to(runs) and adapter != runs else None


def base_facts(reference: str, folder: Path) -> BaseFacts:
    """Where a base came from, by the ``source.json`` that fetching left in its folder, if it did."""
    # A path says nothing to others and something about its owner.
    shown = f"local:{folder.name}" if reference.startswith("local:") else reference
    source = read_source(folder)
    if source is None:
        return BaseFacts(shown)
    repository = source.original if _REPOSITORY.fullmatch(source.original) else None
    quantised = _QUANTISED.fullmatch(source.note or "")
    return BaseFacts(shown, repository, source.licence, quantised[1] if quantised else None)


def run_recipe(run: Path | None) -> Recipe | None:
    """The frozen recipe of a run."""
    return load_recipe(run / "recipe.yaml") if run is not None and (run / "recipe.yaml").is_file() else None


def run_data(run: Path | None, recipe: Recipe | None, settings: Settings) -> tuple[DataFacts, ...]:
    """The datasets of a run; of one that was deleted or changed since, only the name is still true."""
    if run is None or recipe is None:
        return ()
    trained = _json(run / "environment.json").get("datasets", {})
    names = dict.fromkeys(source.dataset for stage in recipe.stages for source in stage.data)
    return tuple(_data(name, settings.datasets / name / "manifest.json", trained.get(name, {})) for name in names)


def _data(name: str, path: Path, trained: dict[str, Any]) -> DataFacts:
    manifest = _json(path)
    if not manifest or trained.get("sha256", manifest.get("sha256")) != manifest.get("sha256"):
        return DataFacts(name)
    return DataFacts(name, manifest.get("rows"), manifest.get("licence"), manifest.get("source"))


def run_versions(run: Path | None) -> tuple[tuple[str, str], ...]:
    """Libraries that trained a run, with their versions."""
    versions: dict[str, str] = {} if run is None else _json(run / "environment.json").get("versions", {})
    return tuple(versions.items())


def weight_hashes(folder: Path) -> tuple[tuple[str, str], ...]:
    """Name and SHA-256 of every weight file."""
    found = []
    for path in sorted(folder.glob("*.safetensors")):
        with path.open("rb") as file:
            found.append((path.name, hashlib.file_digest(file, "sha256").hexdigest()))
    return tuple(found)


def _json(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf8")) if path.is_file() else {}
    return found
