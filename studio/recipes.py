"""A recipe says how a model is adapted: base, vocabulary, adapter, stages and their data, in one form everywhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from studio.data.pairs import Direction
from studio.errors import StudioError, invalid
from studio.settings import PRESETS


class _Strict(BaseModel):
    # A misspelt key must fail when the recipe loads, not two hours into a run.
    model_config = ConfigDict(extra="forbid", frozen=True)


class DataSource(_Strict):
    """One dataset of a stage; `weight` is its share of the mix, `direction` renders pairs."""

    dataset: str
    weight: float = Field(1.0, gt=0)
    direction: Direction = "both"


class Budget(_Strict):
    """How long a stage lasts: exactly one of optimizer steps, tokens (padding not counted) or epochs."""

    steps: int | None = Field(None, ge=1)
    tokens: int | None = Field(None, ge=1)
    epochs: float | None = Field(None, gt=0)

    @model_validator(mode="after")
    def _one(self) -> Budget:
        if sum(value is not None for value in (self.steps, self.tokens, self.epochs)) != 1:
            raise PydanticCustomError("one_budget", "give exactly one of steps, tokens, epochs")
        return self


class Rates(_Strict):
    """Peak learning rates of the LoRA matrices and of the new vocabulary rows."""

    lora: float = Field(2e-4, gt=0)
    rows: float = Field(1e-3, gt=0)


class Lora(_Strict):
    """The adapter: `rank`, scale `alpha` / `rank`, and which linear layers carry it (``auto``: all of the family)."""

    rank: int = Field(16, ge=1, le=1024)
    alpha: float = Field(32, gt=0)
    dropout: float = Field(0.0, ge=0, lt=1)
    targets: Literal["auto"] | list[str] = "auto"
    rslora: bool = False
    dora: bool = False


class NewVocabulary(_Strict):
    """A vocabulary to learn for this run: new tokens, the datasets they are counted in, and how their rows start."""

    size: int = Field(ge=1)
    corpus: list[str] = Field(min_length=1)
    start: Literal["random", "mean", "weighted", "last", "distilled", "fitted"] = "fitted"


class Stage(_Strict):
    """One stage of the curriculum; `length` is in tokens, `batch` in samples on the device.

    Attributes:
        lora: Whether the adapter learns; None: in every stage but ``align``, whose layers are frozen.
        rows: What of the vocabulary learns: the new rows, ``all`` of embeddings and head (as the papers), or nothing.
        warmup: Share of the steps in which the rates grow from zero; from 1 on, steps.
        optimizer: The eight-bit ones need CUDA; elsewhere AdamW in fp32 takes their place, and the run says so.
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")
    kind: Literal["align", "pretrain", "instruct"]
    data: list[DataSource] = Field(min_length=1)
    budget: Budget
    rates: Rates = Rates()
    batch: int = Field(2, ge=1)
    accumulation: int = Field(4, ge=1)
    length: int = Field(512, ge=16)
    loss: Literal["answers", "all"] = "answers"
    lora: bool | None = None
    rows: Literal["new", "all", "frozen"] = "new"
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    warmup: float = Field(0.03, ge=0)
    optimizer: Literal["adamw", "adamw_8bit", "paged_adamw_8bit"] = "adamw"
    weight_decay: float = Field(0.0, ge=0, lt=1)

    @property
    def trains_lora(self) -> bool:
        """Whether the adapter learns in this stage."""
        return self.kind != "align" if self.lora is None else self.lora

    @model_validator(mode="after")
    def _learns(self) -> Stage:
        if not self.trains_lora and self.rows == "frozen":
            raise PydanticCustomError("learns_nothing", "neither adapter nor rows learn")
        return self


class Evaluation(_Strict):
    """What is measured, the share of English bits per byte that may be lost, and when a stage may end early.

    If a finished stage has lost more English, `english` decides: the board warns, or the run stops there and goes on
    only when somebody resumes it.

    With a `patience` of N, a stage ends once N measured checkpoints in a row were not its best in Persian, and goes on
    to the next with what the best one had learnt.
    """

    suite: str = "quick"
    english_limit: float = Field(0.02, ge=0)
    english: Literal["warn", "stop"] = "warn"
    patience: int | None = Field(None, ge=1)


class Checkpoints(_Strict):
    """How often a run is saved besides at its stages' thirds and at Stop, and how many of the newest are kept."""

    minutes: float = Field(2.0, gt=0)
    keep: int = Field(3, ge=1)


class Recipe(_Strict):
    """A whole adaptation, from base to the last stage."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")
    base: str
    vocabulary: str | NewVocabulary | None = None
    quantisation: Literal["none", "nf4"] = "none"
    lora: Lora = Lora()
    stages: list[Stage] = Field(min_length=1)
    seed: int = 3407
    evaluation: Evaluation = Evaluation()
    checkpoints: Checkpoints = Checkpoints()

    @property
    def datasets(self) -> list[str]:
        """Names of all datasets that the stages and a new vocabulary read, each once."""
        corpus = self.vocabulary.corpus if isinstance(self.vocabulary, NewVocabulary) else []
        return list(dict.fromkeys([*corpus, *(source.dataset for stage in self.stages for source in stage.data)]))

    @model_validator(mode="after")
    def _distinct(self) -> Recipe:
        names = [stage.name for stage in self.stages]
        if len(set(names)) != len(names):
            raise PydanticCustomError("same_names", "stage names must differ")
        return self


def parse_recipe(mapping: Mapping[str, Any]) -> Recipe:
    """A recipe from plain data.

    Raises:
        StudioError: ``recipe.invalid`` with the details of `studio.errors.invalid`.
    """
    try:
        return Recipe.model_validate(dict(mapping))
    except ValidationError as error:
        raise invalid("recipe.invalid", error) from error


def load_recipe(path: Path, variant: str = "") -> Recipe:
    """The recipe in a YAML file, or one of the `variants` that the file names.

    A variant changes dotted keys of the recipe and is called ``NAME-VARIANT``::

        variants: {no_lora: {stages.2.lora: false}}

    Raises:
        StudioError: ``recipe.missing``, ``recipe.not_yaml``, ``recipe.invalid``, ``recipe.no_such_variant``, or
            ``recipe.bad_setting`` for a variant's key that leads nowhere.
    """
    data = _read(path)
    variants = data.pop("variants", {})
    recipe = parse_recipe(data)
    if not variant:
        return recipe
    if variant not in _checked_variants(variants):
        known = ", ".join(variants) or "—"
        raise StudioError("recipe.no_such_variant", recipe=recipe.name, variant=variant, known=known)
    changed = {**recipe.model_dump(mode="json"), "name": f"{recipe.name}-{variant}"}
    for key, value in variants[variant].items():
        _put(changed, key, value, key)
    return parse_recipe(changed)


def variant_names(path: Path) -> list[str]:
    """Names of the variants in a recipe file.

    Raises:
        StudioError: ``recipe.missing``, ``recipe.not_yaml``, ``recipe.invalid``.
    """
    return list(_checked_variants(_read(path).get("variants", {})))


def _checked_variants(variants: Any) -> dict[str, dict[str, Any]]:
    try:
        return TypeAdapter(dict[str, dict[str, Any]]).validate_python(variants, strict=True)
    except ValidationError as error:
        raise invalid("recipe.invalid", error) from error


def _read(path: Path) -> dict[str, Any]:
    try:
        data = yaml.safe_load(path.read_text(encoding="utf8"))
    except FileNotFoundError as error:
        raise StudioError("recipe.missing", file=str(path)) from error
    except OSError as error:
        raise StudioError("recipe.not_yaml", file=str(path), reason=error.strerror or str(error)) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise StudioError("recipe.not_yaml", file=path.name, reason=str(error).replace("\n", " ")) from error
    if not isinstance(data, dict):
        raise StudioError("recipe.not_yaml", file=path.name, reason="no keys")
    return data


def preset_recipe(name: str) -> Recipe:
    """One of the recipes that ship with the studio."""
    return load_recipe(PRESETS / "recipes" / f"{name}.yaml")


def only(recipe: Recipe, stages: Sequence[str]) -> Recipe:
    """`recipe` with some of its stages in their order, the first of which then starts from the base itself.

    Raises:
        StudioError: ``recipe.no_such_stage``, or ``recipe.no_stages`` if `stages` is empty.
    """
    known = [each.name for each in recipe.stages]
    if not stages:
        raise StudioError("recipe.no_stages", recipe=recipe.name)
    for name in stages:
        if name not in known:
            raise StudioError("recipe.no_such_stage", recipe=recipe.name, stage=name, known=", ".join(known))
    return recipe.model_copy(update={"stages": [each for each in recipe.stages if each.name in stages]})


def override(recipe: Recipe, settings: Iterable[str]) -> Recipe:
    """`recipe` with ``key=value`` settings applied; keys are dotted, list items by number, values are YAML.

    Setting one kind of budget (``stages.0.budget.tokens=8``) clears the others.

    Raises:
        StudioError: ``recipe.bad_setting`` for a text without ``=`` or a key that leads nowhere; ``recipe.invalid``.
    """
    data = recipe.model_dump(mode="json")
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals or not key.strip():
            raise StudioError("recipe.bad_setting", setting=setting)
        try:
            value = _value(text)
        except yaml.YAMLError as error:
            raise StudioError("recipe.bad_setting", setting=setting) from error
        _put(data, key.strip(), value, setting)
    return parse_recipe(data)


def _put(data: dict[str, Any], key: str, value: Any, setting: str) -> None:
    parts = key.split(".")
    try:
        node: Any = data
        for part in parts[:-1]:
            node = node[int(part)] if isinstance(node, list) else node[part]
        if len(parts) > 1 and parts[-2] == "budget":
            node.clear()
        last = int(parts[-1]) if isinstance(node, list) else parts[-1]
        node[last] = value
    except (KeyError, IndexError, ValueError, TypeError, AttributeError) as error:
        raise StudioError("recipe.bad_setting", setting=setting) from error


def _value(text: str) -> Any:
    # YAML 1.1 reads 2e-4 as text; a rate typed that way is a number to everyone else.
    try:
        return int(text) if text.strip().lstrip("+-").isdigit() else float(text)
    except ValueError:
        return yaml.safe_load(text)


def dump_recipe(recipe: Recipe) -> str:
    """`recipe` as YAML in the order of its fields."""
    return yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
