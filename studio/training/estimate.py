"""What a recipe will take before it starts: weights, memory by part, time and disk of every stage, without torch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from studio.device import Device
from studio.models.anatomy import Anatomy, Linear, read_anatomy
from studio.recipes import Recipe, Stage
from studio.training.footprint import LASTING, Setting, Weights, mapped_bytes, memory

KEPT_CHECKPOINTS = 3
"""As `studio.training.checkpoints` keeps them; that module is the worker's."""

FILES_BYTES = 4_000_000
"""Of a stage: samples, log, counts and states of the schedule, whatever the size of the model."""


@dataclass(frozen=True, slots=True)
class Base:
    """The base as its config describes it; `stored` is the dtype of its file, None where the config is silent."""

    anatomy: Anatomy
    stored: str | None

    @classmethod
    def of_config(cls, config: Mapping[str, Any]) -> Base:
        """The base with this ``config.json``.

        Raises:
            StudioError: See `read_anatomy`.
        """
        text = config.get("text_config") or {}
        found = next((each[key] for each in (config, text) for key in ("dtype", "torch_dtype") if each.get(key)), None)
        return cls(read_anatomy(config), None if found is None else str(found).removeprefix("torch."))


@dataclass(frozen=True, slots=True)
class Known:
    """What this machine and this workspace know already; every one may be missing.

    Attributes:
        speed: Tokens per second of an earlier run of the same base.
        rows: Samples of each dataset.
        tokens_per_row: Tokens of one of its samples on average, where an earlier run counted them.
        price: Of an hour of this device, in whatever currency the user thinks.
    """

    speed: float | None = None
    rows: Mapping[str, int] = field(default_factory=dict)
    tokens_per_row: Mapping[str, float] = field(default_factory=dict)
    price: float | None = None


@dataclass(frozen=True, slots=True)
class StageEstimate:
    """One stage before it starts.

    Attributes:
        name: Of the stage, and its `kind`.
        parameters: All weights, those of the adapter included from the first stage that trains it.
        trainable: Those that learn in this stage.
        memory: Bytes by part (`studio.training.footprint.PARTS`) at the moment when a step holds most, for the longest
            batch the stage allows.
        mapped_bytes: How much of the base stays in its file: on a processor it can be dropped and read again.
        tokens: That go through the model, None where nothing tells; an upper bound if no run has counted the data.
        seconds: None without a measured speed.
        disk_bytes: Checkpoints kept, the finished adapter and rows, and the small files.
        cost: None without a price or a time.
    """

    name: str
    kind: str
    parameters: int
    trainable: int
    memory: Mapping[str, int]
    mapped_bytes: int
    tokens: int | None
    seconds: float | None
    disk_bytes: int
    cost: float | None

    @property
    def memory_bytes(self) -> int:
        """The sum of all parts."""
        return sum(self.memory.values())


@dataclass(frozen=True, slots=True)
class Estimate:
    """A whole recipe on one device, or on each of several.

    `left_out` names parts of the model that are not counted, such as ``vision``; `parts` tells how many cards the
    base's layers are divided among.
    """

    stages: tuple[StageEstimate, ...]
    free_bytes: int
    left_out: tuple[str, ...] = ()
    parts: int = 1

    @property
    def memory_bytes(self) -> int:
        """What the hungriest stage holds."""
        return max(stage.memory_bytes for stage in self.stages)

    @property
    def disk_bytes(self) -> int:
        """What all stages leave on disk."""
        return sum(stage.disk_bytes for stage in self.stages)

    @property
    def fits(self) -> bool:
        """Whether every stage finds room in what is free now."""
        return self.memory_bytes <= self.free_bytes

    @property
    def seconds(self) -> float | None:
        """Of all stages, or None if one of them is not known."""
        found = [stage.seconds for stage in self.stages]
        return None if None in found else sum(each for each in found if each is not None)


def estimate(
    recipe: Recipe,
    base: Base,
    device: Device,
    *,
    new_rows: int = 0,
    known: Known | None = None,
    cards: int = 1,
    divide: bool | None = None,
) -> Estimate:
    """What every stage of `recipe` takes on `device`, each of several where they are `cards`.

    Args:
        recipe: Its stages, adapter and quantisation; what it names is not looked up.
        base: Of the model it adapts.
        device: Where it would run; its free memory is what the estimate is held against.
        new_rows: Tokens that the vocabulary adds to the base.
        known: Speeds and sizes measured before.
        cards: That share the steps, see `studio.training.plan.processes`.
        divide: Whether they hold the layers in parts; None: graphics cards do if one cannot hold them whole. Layers in
            four bits are never divided.

    Raises:
        StudioError: ``training.bad_targets``.
    """
    known = known or Known()
    whole = _estimate(recipe, base, device, new_rows, known, 1)
    if cards == 1 or recipe.quantisation == "nf4" or divide is False:
        return whole
    if divide or (device.kind == "cuda" and not whole.fits):
        return _estimate(recipe, base, device, new_rows, known, cards)
    return whole


def _estimate(recipe: Recipe, base: Base, device: Device, new_rows: int, known: Known, parts: int) -> Estimate:
    targets = base.anatomy.targets(None if recipe.lora.targets == "auto" else recipe.lora.targets)
    adapter = lora_parameters(targets, recipe.lora.rank, dora=recipe.lora.dora)
    begun, stages = False, []
    for stage in recipe.stages:
        begun = begun or stage.trains_lora
        setting = replace(_setting(recipe, stage, base, device, targets), parts=parts)
        held = _weights(recipe, stage, base.anatomy, adapter, new_rows)
        stages.append(_stage(stage, base.anatomy, setting, held, adapter if begun else 0, known))
    return Estimate(tuple(stages), device.memory_free, base.anatomy.left_out, parts)


def _weights(recipe: Recipe, stage: Stage, anatomy: Anatomy, adapter: int, new_rows: int) -> Weights:
    new = anatomy.vocabulary_parameters(new_rows)
    whole = any(each.rows == "all" for each in recipe.stages)
    beside = anatomy.vocabulary_parameters(anatomy.rows + new_rows) if whole else new
    learning = beside if stage.rows != "frozen" else 0  # of whole tables old rows are only held still
    return Weights(
        lora=adapter if any(each.trains_lora for each in recipe.stages) else 0,
        rows=beside,
        trained=learning + (adapter if stage.trains_lora else 0),
        learning_rows=learning,
        new_rows=new,
    )


def _stage(
    stage: Stage, anatomy: Anatomy, setting: Setting, held: Weights, adapter: int, known: Known
) -> StageEstimate:
    """`stage` with `adapter` weights of LoRA that have begun to learn by then."""
    tokens = _tokens(stage, known)
    seconds = None if known.speed is None or tokens is None else tokens / known.speed
    rows = _trained_rows(anatomy, stage, held.new_rows // (anatomy.sides * anatomy.hidden))
    return StageEstimate(
        name=stage.name,
        kind=stage.kind,
        parameters=anatomy.parameters + held.new_rows + adapter,
        trainable=rows + (adapter if stage.trains_lora else 0),
        memory=memory(anatomy, setting, held),
        mapped_bytes=mapped_bytes(anatomy, setting, grown=held.new_rows > 0),
        tokens=tokens,
        seconds=seconds,
        disk_bytes=_disk(adapter, held.rows, held.trained),
        cost=None if seconds is None or known.price is None else known.price * seconds / 3600,
    )


def lora_parameters(targets: Sequence[Linear], rank: int, *, dora: bool = False) -> int:
    """Weights of an adapter of `rank` on `targets`; DoRA keeps a length for each output besides."""
    return sum(each.times * (rank * (each.inputs + each.outputs) + (each.outputs if dora else 0)) for each in targets)


def _trained_rows(anatomy: Anatomy, stage: Stage, new_rows: int) -> int:
    match stage.rows:
        case "all":
            return anatomy.vocabulary_parameters(anatomy.rows + new_rows)
        case "new":
            return anatomy.vocabulary_parameters(new_rows)
    return 0


def _setting(recipe: Recipe, stage: Stage, base: Base, device: Device, targets: tuple[Linear, ...]) -> Setting:
    width = 2 if device.bf16 or device.kind == "cuda" else 4  # cards without bf16 hold a base in fp16
    return Setting(
        device=device.kind,
        width=width,
        quantised=recipe.quantisation == "nf4",
        converted=base.stored is not None and base.stored != ("bfloat16" if width == 2 else "float32"),
        batch=stage.batch,
        length=stage.length,
        rank=recipe.lora.rank if any(each.trains_lora for each in recipe.stages) else 0,
        targets=targets,
        plain=recipe.lora.dropout == 0 and not recipe.lora.dora,
        accumulates=stage.accumulation > 1,
        eight_bit=stage.optimizer != "adamw",
        lasts=_texts(stage) >= LASTING,
    )


def _texts(stage: Stage) -> float:
    """Of the whole length that the budget has room for; as many in smaller batches, so that advice is not misled."""
    budget = stage.budget
    if budget.steps is not None:
        return budget.steps * stage.accumulation * stage.batch
    return math.inf if budget.tokens is None else budget.tokens / stage.length


def _tokens(stage: Stage, known: Known) -> int | None:
    """Tokens that the budget comes to; a sample that nobody counted is taken to fill the length."""
    budget = stage.budget
    if budget.tokens is not None:
        return budget.tokens
    total = sum(source.weight for source in stage.data)
    row = sum(
        source.weight / total * min(known.tokens_per_row.get(source.dataset, stage.length), stage.length)
        for source in stage.data
    )
    if budget.steps is not None:
        return round(budget.steps * stage.batch * stage.accumulation * row)
    counts = [known.rows.get(source.dataset) for source in stage.data]
    assert budget.epochs is not None, budget
    return None if None in counts else round(budget.epochs * row * sum(count for count in counts if count))


def _disk(adapter: int, rows: int, trained: int) -> int:
    """A finished stage holds adapter and rows in fp32; each checkpoint holds them and two averages of what learns."""
    pack = 4 * (adapter + rows)
    return pack + KEPT_CHECKPOINTS * (pack + 8 * trained) + FILES_BYTES
