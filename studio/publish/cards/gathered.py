"""What is known of an export and its run on disk, gathered for its model card."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from studio.data.cleaning.ledger import read_ledger
from studio.data.manifest import FILE, Manifest, read_manifest
from studio.errors import StudioError
from studio.models.source import read_source
from studio.publish.cards import run_facts
from studio.publish.cards.facts import BaseFacts, CardFacts, Cleaning, DataFacts, Figures, Taken
from studio.publish.cards.run_facts import read_json
from studio.publish.record import Kind
from studio.recipes import Recipe, load_recipe
from studio.settings import Settings

if TYPE_CHECKING:
    from studio.models.files import ModelFiles

_HASHES = {"base_sha256": "base", "tokenizer_sha256": "tokenizer.json (base)", "vocabulary_sha256": "vocabulary"}
_TERMS = ("LICENSE*", "*TERMS*", "USE_POLICY*")
_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")
_PLACE = re.compile(r"(hub|pypi):\S+|[^/\\~]+")
_QUANTISED = re.compile(r"dequantised from (\S+)")


def gather(
    files: ModelFiles,
    folder: Path,
    name: str,
    settings: Settings,
    *,
    kind: Kind,
    dtype: str,
    template: bool,
    figures: Figures | None = None,
) -> CardFacts:
    """All that is known of an export; makers of other kinds `replace` snippets, checks and siblings.

    Args:
        files: The run's model: base, tokenizer and adapter.
        folder: The export as it stands, whose weights are hashed.
        name: The export's final name.
        settings: Where runs, datasets and evaluations lie.
        kind, dtype, template: As in `CardFacts`.
        figures: What a merge's checks measured.
    """
    assert files.adapter is not None, files
    run = run_folder(files.adapter, settings)
    recipe = run_recipe(run)
    facts = CardFacts(
        name=name,
        dtype=dtype,
        template=template,
        base=base_facts(files.base, files.folder),
        recipe=recipe,
        data=run_data(run, recipe, settings),
        figures=figures,
        weights=weight_hashes(folder),
        versions=run_versions(run),
        kind=kind,
        licence_file=next((path.name for pattern in _TERMS for path in sorted(folder.glob(pattern))), None),
    )
    place = run_facts.place_of(files.adapter, settings)
    return facts if place is None or recipe is None else _measured(facts, files, place, recipe, settings)


def _measured(
    facts: CardFacts, files: ModelFiles, place: run_facts.Place, recipe: Recipe, settings: Settings
) -> CardFacts:
    assert files.adapter is not None, files
    rows = run_facts.read_rows(place, settings)
    environment = read_json(place.run / "environment.json")
    return replace(
        facts,
        stages=run_facts.stage_facts(place, recipe, rows),
        base_bits=run_facts.base_bits(rows),
        vocabulary=run_facts.vocabulary_facts(place),
        evaluations=run_facts.evaluation_facts(files.adapter, place, files.base, settings),
        votes=rows.votes,
        energy=run_facts.energy_facts(place, rows, settings),
        seconds=run_facts.run_seconds(place, recipe),
        device=environment.get("device"),
        hashes=tuple((name, environment[key]) for key, name in _HASHES.items() if environment.get(key)),
        curves=run_facts.curve_facts(place, recipe, rows),
    )


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
    trained = read_json(run / "environment.json").get("datasets", {})
    return tuple(_data(name, trained.get(name, {}), settings) for name in recipe.datasets)


def _data(name: str, trained: dict[str, Any], settings: Settings) -> DataFacts:
    manifest = _manifest(settings.datasets / name)
    if manifest is None or trained.get("sha256", manifest.sha256) != manifest.sha256:
        return DataFacts(name)
    repositories = tuple(sorted(_repositories(manifest, settings)))
    cleaning = _cleaning(manifest, settings.datasets / name)
    source = "; ".join(f"hub:{each}" for each in repositories) or _source(manifest)
    return DataFacts(name, manifest.rows, manifest.licence, source, manifest.characters, cleaning, repositories)


def _manifest(folder: Path) -> Manifest | None:
    try:
        return read_manifest(folder) if (folder / FILE).is_file() else None
    except StudioError:
        return None


def _source(manifest: Manifest) -> str:
    """Where the rows came from; a path says nothing to others and something about its owner."""
    if manifest.source == "samples":
        return "Persian Adaptation Studio"
    return manifest.source if _PLACE.fullmatch(manifest.source) else "; ".join(manifest.files)


def _repositories(manifest: Manifest, settings: Settings) -> set[str]:
    """The Hub's datasets behind one, through cleanings and mixes, as far as their parents are still the same."""
    if manifest.origin is not None:
        return {manifest.origin.repo}
    parents = [(part.dataset, part.sha256) for part in manifest.mixed.sources] if manifest.mixed else []
    if manifest.cleaned is not None:
        parents.append((manifest.cleaned.parent, manifest.cleaned.parent_sha256))
    found: set[str] = set()
    for name, digest in parents:
        parent = _manifest(settings.datasets / name)
        if parent is not None and parent.sha256 == digest:
            found |= _repositories(parent, settings)
    return found


def _cleaning(manifest: Manifest, folder: Path) -> Cleaning | None:
    try:
        books = read_ledger(folder)
    except StudioError:
        return None
    if books is None or manifest.cleaned is None:
        return None
    taken = tuple(Taken(entry.rule, entry.units, entry.share) for entry in books.rules if entry.units)
    return Cleaning(manifest.cleaned.parent, books.rows_in, books.rows_out, taken)


def run_versions(run: Path | None) -> tuple[tuple[str, str], ...]:
    """Libraries that trained a run, with their versions."""
    versions: dict[str, str] = {} if run is None else read_json(run / "environment.json").get("versions", {})
    return tuple(versions.items())


def weight_hashes(folder: Path) -> tuple[tuple[str, str], ...]:
    """Name and SHA-256 of every weight file."""
    found = []
    for path in sorted(path for path in folder.iterdir() if path.suffix in (".safetensors", ".gguf")):
        with path.open("rb") as file:
            found.append((path.name, hashlib.file_digest(file, "sha256").hexdigest()))
    return tuple(found)
