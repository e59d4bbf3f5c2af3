"""Before a training starts: what its recipe takes here, whether that fits, and what to change if not."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from studio.auth import owner_only
from studio.device import find_device
from studio.errors import StudioError
from studio.i18n import say
from studio.models.files import fetched_folder, is_fetched, read_config
from studio.models.reference import parse_reference
from studio.recipes import NewVocabulary, Recipe, load_recipe
from studio.services import datasets, vocabulary
from studio.services.studio import Studio
from studio.training.advice import Advice, Change, advise
from studio.training.estimate import Base, Estimate, Known, StageEstimate, estimate
from studio.training.plan import processes


@dataclass(frozen=True, slots=True)
class Before:
    """A recipe, what it takes here, and advice where that does not fit: None then if nothing helps."""

    recipe: Recipe
    estimate: Estimate
    advice: Advice | None


@owner_only
def before(
    studio: Studio, recipe: Recipe, *, config: Mapping[str, Any] | None = None, price: float | None = None
) -> Before:
    """Estimate `recipe` on this machine.

    Args:
        studio: Knows the base, vocabularies, and earlier runs.
        recipe: As it would be started.
        config: Of the base, for one that is not on disk.
        price: Of an hour of this machine.

    Raises:
        StudioError: ``model.not_fetched`` and others of a base that is not here; ``vocabulary.unknown``;
            ``estimate.unknown_family``, ``estimate.bad_config``, ``training.bad_targets``.
    """
    base = Base.of_config(read_config(_folder(studio, recipe)) if config is None else config)
    settings = studio.settings
    device = find_device(settings.workspace)
    rows, known = _new_rows(studio, recipe), _known(studio, recipe, price)

    def measure(changed: Recipe) -> Estimate:
        cards = processes(changed, settings.processes or device.cards)
        return estimate(changed, base, device, new_rows=rows, known=known, cards=cards, divide=settings.divide)

    found = measure(recipe)
    advice = None
    if not found.fits:
        four_bits = device.bitsandbytes is not None
        advice = advise(recipe, measure, found.free_bytes, four_bits=four_bits)
    return Before(recipe, found, advice)


def _folder(studio: Studio, recipe: Recipe) -> Path:
    parsed = parse_reference(recipe.base)
    match parsed.scheme:
        case "run":
            raise StudioError("model.base_is_run", reference=recipe.name, base=recipe.base)
        case "local":
            return Path(parsed.name)
    if not is_fetched(recipe.base, studio.settings):
        raise StudioError("model.not_fetched", reference=recipe.base)
    return fetched_folder(parsed, studio.settings)


def _new_rows(studio: Studio, recipe: Recipe) -> int:
    match recipe.vocabulary:
        case None:
            return 0
        case NewVocabulary(size=size):
            return size
        case name:
            return vocabulary.opened(vocabulary.folder_of(studio, name)).added


def _known(studio: Studio, recipe: Recipe, price: float | None) -> Known:
    """What finished runs of the same base measured: their speed, and how many tokens a sample of their data has."""
    speeds: list[float] = []
    tokens: dict[str, float] = {}
    for job in studio.jobs.listing(states=("done",), kind="train"):
        run = studio.settings.runs / str(job.run)
        if not (run / "recipe.yaml").is_file() or load_recipe(run / "recipe.yaml").base != recipe.base:
            continue
        if job.result and job.result.get("tokens_per_second"):
            speeds.append(job.result["tokens_per_second"])
        for path in run.glob("stages/*/data.json"):
            for name, report in json.loads(path.read_text(encoding="utf8")).items():
                if report.get("rows"):
                    tokens.setdefault(name, report["tokens"] / report["rows"])
    if recipe.vocabulary is not None:
        tokens = {}  # those were counted with another tokenizer
    names = {source.dataset for stage in recipe.stages for source in stage.data}
    rows = {name: datasets.manifest(studio, name).rows for name in names if datasets.exists(studio, name)}
    return Known(median(speeds) if speeds else None, rows, tokens, price)


def as_json(found: Before) -> dict[str, Any]:
    """What ``estimate`` answers on the command line."""
    stages = [_stage_json(stage, priced=stage.cost is not None) for stage in found.estimate.stages]
    return {
        "stages": stages,
        "memory_bytes": found.estimate.memory_bytes,
        "disk_bytes": found.estimate.disk_bytes,
        "seconds": found.estimate.seconds,
        "free_bytes": found.estimate.free_bytes,
        "fits": found.estimate.fits,
        "left_out": list(found.estimate.left_out),
        "parts": found.estimate.parts,
        "advice": None if found.estimate.fits else _advice_json(found),
    }


def _stage_json(stage: StageEstimate, *, priced: bool) -> dict[str, Any]:
    return {
        "name": stage.name,
        "kind": stage.kind,
        "parameters": stage.parameters,
        "trainable": stage.trainable,
        "memory": dict(stage.memory),
        "memory_bytes": stage.memory_bytes,
        "mapped_bytes": stage.mapped_bytes,
        "tokens": stage.tokens,
        "seconds": stage.seconds,
        "disk_bytes": stage.disk_bytes,
        **({"cost": stage.cost} if priced else {}),
    }


def _advice_json(found: Before) -> dict[str, Any]:
    settings = [] if found.advice is None else list(found.advice.settings)
    memory = None if found.advice is None else found.advice.estimate.memory_bytes
    return {
        "settings": settings,
        "memory_bytes": memory,
        "fa": advice_sentence("fa", found),
        "en": advice_sentence("en", found),
    }


def advice_sentence(locale: str, found: Before) -> str:
    """What to change, in one sentence; that nothing helps, if nothing does."""
    if found.advice is None:
        return say(locale, "estimate.nothing_fits")
    parts = [_change(locale, change) for change in found.advice.changes]
    return say(locale, "estimate.advice", changes=say(locale, "estimate.and").join(parts))


def _change(locale: str, change: Change) -> str:
    return say(
        locale,
        f"estimate.change.{change.kind}",
        stage=change.stage,
        value=change.value,
        accumulation=change.accumulation,
    )
