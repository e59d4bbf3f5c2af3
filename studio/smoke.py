"""A recipe made small: the same stages in the same way, but minutes on any machine, to see that all of it runs."""

from __future__ import annotations

from studio.data.catalogue import entries
from studio.data.pairs import Direction
from studio.data.sample import Kind
from studio.data.starters import STARTERS
from studio.recipes import Budget, DataSource, Lora, NewVocabulary, Recipe, Stage, parse_recipe

STEPS = 2  # the second sees what the first has changed
LENGTH = {"align": 384, "pretrain": 128, "instruct": 512}
"""Tokens: 384 hold most stories with their translation, 512 most sample chats at about one token a letter."""
BATCH = {"align": 1, "pretrain": 2, "instruct": 1}
NEW_TOKENS = 300

SAMPLES: dict[Kind, str] = {"text": "sample-prose", "pair": "sample-stories-more", "chat": "sample-chats"}
_PAIRED = ("pairs", "parallel", "stories", "translation")
_LINEARS = {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}


def smoke(recipe: Recipe) -> Recipe:
    """`recipe` on a starter model and the studio's own samples, a few steps to a stage.

    Stages, their order and kinds, what learns in them, losses, directions of pairs, rates, schedules, adapter and
    quantisation stay as they are. All data become samples of their kind, those at hand too: a smoke run takes as long
    with a large dataset as with none. The kind is what the catalogue says or the name: ``fa-en-pairs`` are pairs.
    """
    made = recipe.model_copy(
        update={
            "name": f"{recipe.name[:34]}-smoke",
            "base": "starter:gemma3-270m" if "gemma" in recipe.base.lower() else "starter:smollm2-135m",
            "vocabulary": _vocabulary(recipe.vocabulary),
            "lora": _lora(recipe.lora),
            "stages": [_stage(stage) for stage in recipe.stages],
        }
    )
    return parse_recipe(made.model_dump(mode="json"))


def _vocabulary(asked: str | NewVocabulary | None) -> NewVocabulary | None:
    """New tokens for the starter: a vocabulary that has been learnt fits no other base than its own."""
    if asked is None:
        return None
    corpus = [SAMPLES["text"], SAMPLES["pair"]]
    if isinstance(asked, str):
        return NewVocabulary(size=NEW_TOKENS, corpus=corpus)
    return NewVocabulary(size=min(asked.size, NEW_TOKENS), corpus=corpus, start=asked.start)


def _lora(lora: Lora) -> Lora:
    # Other families have layers of other names, such as Phi's qkv_proj, which no starter has.
    foreign = lora.targets != "auto" and not _LINEARS.issuperset(lora.targets)
    return lora.model_copy(update={"targets": "auto"}) if foreign else lora


def _stage(stage: Stage) -> Stage:
    return stage.model_copy(
        update={
            "data": _data(stage),
            "budget": Budget(steps=STEPS),
            "batch": min(stage.batch, BATCH[stage.kind]),
            "accumulation": 1,
            "length": min(stage.length, LENGTH[stage.kind]),
            "warmup": min(stage.warmup, 1.0),  # from 1 on it counts steps
        }
    )


def _data(stage: Stage) -> list[DataSource]:
    """Samples for the data of `stage`; what comes to the same sample, read in the same direction, adds its weight."""
    weights: dict[tuple[str, Direction], float] = {}
    for source in stage.data:
        kind = kind_of_dataset(source.dataset, stage)
        key = (SAMPLES[kind], source.direction if kind == "pair" else "both")
        weights[key] = weights.get(key, 0.0) + source.weight
    return [DataSource(dataset=name, direction=way, weight=weight) for (name, way), weight in weights.items()]


def kind_of_dataset(name: str, stage: Stage) -> Kind:
    """What a dataset of `stage` holds, as far as its name tells."""
    if name in STARTERS:
        return STARTERS[name].mapping.kind
    for entry in entries():
        if entry.name == name and entry.kind != "evaluation":
            return entry.kind
    if any(word in name.lower() for word in _PAIRED):
        return "pair"
    return "chat" if stage.kind == "instruct" else "text"
