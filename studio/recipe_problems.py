"""What no recipe can do, found before anything is fetched or trained."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from studio.data.manifest import check_spelling
from studio.errors import StudioError
from studio.models.catalogue import starter
from studio.models.reference import parse_reference
from studio.recipes import NewVocabulary, Recipe, Stage

# Longest input of bases that recipes name, from their own configs; of a base on disk the config itself is read.
_LIMITS = (
    (re.compile("smollm2", re.I), 8192),
    (re.compile("llama-2-(7|13|70)b", re.I), 4096),
    (re.compile("phi-3-mini-4k", re.I), 4096),
    (re.compile("gemma-?3-270m|gemma-3n", re.I), 32768),
)
_TABLES_PER_LAYER = re.compile("gemma-3n|gemma-4-e", re.I)


def problems(recipe: Recipe, limit: int | None = None) -> list[StudioError]:
    """Everything in `recipe` that cannot work, the base first, then stage by stage; empty for a sound recipe.

    Args:
        recipe: A recipe whose keys and values are right one by one.
        limit: Longest input of the base in tokens; None: what is known by its name, if anything.
    """
    return [*_base(recipe), *_vocabulary(recipe), *_stages(recipe, limit or _known_limit(recipe.base))]


def _base(recipe: Recipe) -> Iterator[StudioError]:
    try:
        reference = parse_reference(recipe.base)
        if reference.scheme == "starter":
            starter(reference.name)
    except StudioError as error:
        yield error


def _vocabulary(recipe: Recipe) -> Iterator[StudioError]:
    if recipe.vocabulary is not None and _TABLES_PER_LAYER.search(recipe.base):
        yield StudioError("vocabulary.per_layer_tables", model=recipe.base)
    if isinstance(recipe.vocabulary, NewVocabulary):
        yield from _names(recipe.vocabulary.corpus)
        if recipe.vocabulary.start == "random" and all(stage.rows == "frozen" for stage in recipe.stages):
            yield StudioError("recipe.rows_stay_random")


def _stages(recipe: Recipe, limit: int | None) -> Iterator[StudioError]:
    for stage in recipe.stages:
        yield from _names(source.dataset for source in stage.data)
        yield from _learns(recipe, stage)
        if limit is not None and stage.length > limit:
            yield StudioError("training.length_too_long", length=stage.length, limit=limit)
        if stage.warmup >= 1 and stage.budget.steps is not None and stage.warmup > stage.budget.steps:
            yield StudioError(
                "recipe.warmup_too_long", stage=stage.name, warmup=stage.warmup, steps=stage.budget.steps
            )


def _learns(recipe: Recipe, stage: Stage) -> Iterator[StudioError]:
    # Whole tables without new tokens would be a dense training of the base, which no language pack can carry.
    if recipe.vocabulary is None and (stage.rows == "all" or not stage.trains_lora):
        yield StudioError("recipe.rows_without_vocabulary", stage=stage.name)
    if stage.trains_lora and not recipe.lora.targets:
        yield StudioError("recipe.no_targets", stage=stage.name)


def _names(names: Iterable[str]) -> Iterator[StudioError]:
    for name in dict.fromkeys(names):
        try:
            check_spelling(name)
        except StudioError as error:
            yield error


def _known_limit(base: str) -> int | None:
    return next((limit for pattern, limit in _LIMITS if pattern.search(base)), None)
