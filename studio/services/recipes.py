"""The recipes that ship with the studio: their names, what they are for, and whether they hold together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from studio.auth import owner_only
from studio.errors import StudioError
from studio.models.files import is_fetched, locate, read_config
from studio.recipe_problems import problems
from studio.recipes import Recipe, load_recipe, only, override, variant_names
from studio.services import datasets
from studio.services.studio import Studio
from studio.settings import PRESETS, Settings
from studio.smoke import smoke

FOLDER = PRESETS / "recipes"


@dataclass(frozen=True, slots=True)
class Checked:
    """What `check` found in one recipe; `missing` are datasets that neither workspace nor studio has yet."""

    name: str
    problems: list[StudioError]
    missing: list[str]

    @property
    def ok(self) -> bool:
        """Whether the recipe could run once its data are there."""
        return not self.problems


def names(*, with_variants: bool = False) -> list[str]:
    """The recipes that ship with the studio; a variant is called ``NAME:VARIANT``."""
    found = []
    for path in sorted(FOLDER.glob("*.yaml")):
        found.append(path.stem)
        if with_variants:
            found += [f"{path.stem}:{variant}" for variant in variant_names(path)]
    return found


def find(name_or_path: str) -> tuple[Path, str]:
    """File and variant of a preset's name or a YAML file's path, either with ``:VARIANT`` behind it.

    Raises:
        StudioError: ``recipe.missing`` for no name at all.
    """
    if not name_or_path:
        raise StudioError("recipe.missing", file="")
    if (path := Path(name_or_path).expanduser()).is_file():
        return path, ""
    name, _, variant = name_or_path.partition(":")
    if "/" not in name and (FOLDER / f"{name}.yaml").is_file():
        return FOLDER / f"{name}.yaml", variant
    before, colon, after = name_or_path.rpartition(":")
    return Path(before if colon else name_or_path).expanduser(), after if colon else ""


def read(name_or_path: str, settings: Iterable[str] = (), *, small: bool = False, stage: str | None = None) -> Recipe:
    """A recipe by the name of a preset or the path of a YAML file; ``key=value`` settings have the last word.

    Args:
        name_or_path: As `find` takes it.
        settings: See `studio.recipes.override`.
        small: As a smoke run: see `studio.smoke.smoke`.
        stage: Only the stage of this name; settings still count the stages of the whole recipe.

    Raises:
        StudioError: ``recipe.*``.
    """
    recipe = load_recipe(*find(name_or_path))
    recipe = override(smoke(recipe) if small else recipe, settings)
    return only(recipe, [stage]) if stage else recipe


@owner_only
def check(studio: Studio, name_or_path: str) -> Checked:
    """Hold one recipe against everything that is known before a run, and its smoke run too."""
    try:
        recipe = read(name_or_path)
        found = [*problems(recipe, known_limit(recipe, studio.settings)), *problems(smoke(recipe))]
    except StudioError as error:
        return Checked(name_or_path, [error], [])
    here = datasets.starter_names()
    missing = [name for name in recipe.datasets if name not in here and not datasets.exists(studio, name)]
    distinct = {str(error): error for error in found}
    return Checked(name_or_path, list(distinct.values()), missing)


def known_limit(recipe: Recipe, settings: Settings) -> int | None:
    """Longest input of the base in tokens, if it lies on disk and says so."""
    try:
        if not is_fetched(recipe.base, settings):
            return None
        config = read_config(locate(recipe.base, settings).folder)
    except StudioError:  # whoever needs the base says what is wrong with it
        return None
    limit = (config.get("text_config") or config).get("max_position_embeddings")
    return limit if isinstance(limit, int) else None
