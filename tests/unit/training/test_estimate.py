"""What a recipe takes before it starts: counts of the papers, memory that follows the engine, advice that fits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from studio.device import Device
from studio.errors import StudioError
from studio.recipes import Recipe, override, parse_recipe
from studio.training import footprint
from studio.training.advice import advise
from studio.training.estimate import KEPT_CHECKPOINTS, Base, Estimate, Known, estimate
from tests.unit.models.test_anatomy import LLAMA_2

DEVICE = Device(
    kind="cpu", name="test", cores=2, memory=16 * 10**9, memory_free=12 * 10**9, driver=None, bitsandbytes="0.50",
    torch="2.13.0", disk_free=10**11, idle_gpu=None, fast_bf16=True, bf16=True,
)  # fmt: skip
SMOLLM2 = {
    "model_type": "llama", "vocab_size": 49_152, "hidden_size": 576, "intermediate_size": 1536, "dtype": "bfloat16",
    "num_hidden_layers": 30, "num_attention_heads": 9, "num_key_value_heads": 3, "tie_word_embeddings": True,
}  # fmt: skip
DATA = [{"dataset": "texts"}]


def recipe(*stages: dict[str, Any], **keys: Any) -> Recipe:
    whole = [{"data": DATA, "budget": {"steps": 10}, "rows": "frozen", **stage} for stage in stages]
    return parse_recipe({"name": "test", "base": "local:/x", "stages": whole, **keys})


def chats(**keys: Any) -> Recipe:
    return recipe({"name": "chat", "kind": "instruct", **keys})


def of(wanted: Recipe, config: dict[str, Any] = SMOLLM2, device: Device = DEVICE, **more: Any) -> Estimate:
    return estimate(wanted, Base.of_config(config), device, **more)


def test_the_parameters_of_llama_persian_are_those_of_its_table_4() -> None:
    wanted = recipe(
        {"name": "align", "kind": "align", "rows": "all"},
        {"name": "pretrain", "kind": "pretrain", "rows": "all"},
        {"name": "instruct", "kind": "instruct", "rows": "all"},
        lora={"rank": 8, "alpha": 32},
    )
    found = of(wanted, LLAMA_2, new_rows=49_817 - 32_000)
    assert [(stage.parameters, stage.trainable) for stage in found.stages] == [
        (6_884_372_480, 408_100_864), (6_904_360_960, 428_089_344), (6_904_360_960, 428_089_344),
    ]  # fmt: skip


CARD = replace(DEVICE, kind="cuda", memory=24 * 10**9, memory_free=12 * 10**9)


def test_several_cards_divide_the_layers_of_a_base_that_one_does_not_hold() -> None:
    """Llama-2-7B is 13.5 GB in bf16, 12.95 GB of it in layers."""
    whole = of(chats(batch=1, length=128), LLAMA_2, CARD)
    assert (whole.fits, whole.parts) == (False, 1)
    found = of(chats(batch=1, length=128), LLAMA_2, CARD, cards=4)
    assert (found.fits, found.parts) == (True, 4)
    saved = whole.stages[0].memory["base"] - found.stages[0].memory["base"]
    assert saved == pytest.approx(12.95e9 * (3 / 4 - 3 / 32), rel=0.001), "three layers are whole at a time"
    assert of(chats(), cards=4, device=CARD).parts == 1, "it fits"
    assert of(chats(), cards=4, device=CARD, divide=True).parts == 4
    assert of(chats(batch=1, length=128), LLAMA_2, CARD, cards=4, divide=False).parts == 1
    assert (
        of(
            recipe({"name": "chat", "kind": "instruct"}, quantisation="nf4"),
            LLAMA_2,
            replace(CARD, memory_free=10**9),
            cards=4,
            divide=True,
        ).parts
        == 1
    )
    assert of(chats(), LLAMA_2, DEVICE, cards=2).parts == 1, "processes of one machine share its memory"
    assert found.stages[0].memory["lora"] == whole.stages[0].memory["lora"]


@pytest.mark.parametrize(("config", "sides"), [(SMOLLM2, 1), (LLAMA_2, 2)], ids=["tied", "untied"])
def test_new_rows_count_once_for_each_table(config: dict[str, Any], sides: int) -> None:
    wanted = recipe({"name": "align", "kind": "align", "rows": "new"}, {"name": "chat", "kind": "instruct"})
    align, chat = of(wanted, config, new_rows=1000).stages
    assert align.trainable == sides * 1000 * config["hidden_size"]
    assert align.memory["rows"] == chat.memory["rows"] == 4 * align.trainable, "frozen rows are held too"
    assert chat.parameters - align.parameters == chat.trainable, "the adapter counts once it learns"
    assert align.memory["optimizer"] == 8 * align.trainable


def test_constants_are_those_of_the_engine() -> None:
    from studio.training import attention_blocks, checkpoints, loss

    assert footprint.CHUNK_ELEMENTS == loss.CHUNK_ELEMENTS
    assert (footprint.BLOCK, footprint.KEEP) == (attention_blocks.BLOCK, attention_blocks.KEEP)
    assert checkpoints.KEPT == KEPT_CHECKPOINTS


def test_the_parts_of_the_starter_are_what_they_should_be() -> None:
    stage = of(chats(batch=2, length=512), SMOLLM2).stages[0]
    assert stage.memory["base"] == 2 * 134_515_008
    assert stage.memory["lora"] == 4 * stage.trainable
    assert stage.memory["gradients"] == 4 * stage.trainable
    assert tuple(stage.memory) == footprint.PARTS
    assert sum(stage.memory.values()) == stage.memory_bytes
    measured = 1_155_000_000  # anonymous above an idle worker, rank 8, one batch to a step
    plain = of(chats(batch=2, length=512, accumulation=1), SMOLLM2).stages[0]
    predicted = plain.memory_bytes - plain.memory["worker"] - plain.mapped_bytes
    assert abs(predicted / measured - 1) < 0.15


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ("stages.0.batch=4", "activations"), ("stages.0.length=1024", "activations"), ("lora.rank=64", "optimizer"),
        ("lora.dropout=0.1", "activations"), ("lora.dora=true", "activations"),
    ],
)  # fmt: skip
def test_more_takes_more(change: str, part: str) -> None:
    less, more = of(chats()), of(override(chats(), [change]))
    assert more.stages[0].memory[part] > less.stages[0].memory[part]


@pytest.mark.parametrize("budget", [{"steps": 15}, {"tokens": 60 * 256}, {"epochs": 1}])
def test_a_training_that_lasts_holds_more_on_a_processor(budget: dict[str, int]) -> None:
    stage = {"batch": 2, "length": 256, "accumulation": 2}
    short, long = chats(**stage, budget={"steps": 14}), chats(**stage, budget=budget)
    more = of(long).memory_bytes - of(short).memory_bytes
    assert more == footprint.PRODUCTS
    assert of(long, device=CARD).memory_bytes == of(short, device=CARD).memory_bytes


def test_what_is_held_depends_on_bits_and_device() -> None:
    whole, four = of(chats()).stages[0], of(override(chats(), ["quantisation=nf4"])).stages[0]
    assert four.memory["base"] < 0.5 * whole.memory["base"]
    assert four.mapped_bytes == 0 < whole.mapped_bytes < whole.memory["base"]
    wide = of(chats(), device=replace(DEVICE, bf16=False)).stages[0]
    assert wide.memory["base"] == 2 * whole.memory["base"]
    assert wide.mapped_bytes == 0, "a base in bf16 is converted, so nothing stays in its file"
    card = of(chats(), device=replace(DEVICE, kind="cuda")).stages[0]
    assert (card.memory["worker"], card.mapped_bytes) == (0, 0)
    old = of(chats(), device=replace(DEVICE, kind="cuda", bf16=False)).stages[0]
    assert old.memory["base"] == card.memory["base"], "fp16 is as wide as bf16"


def test_time_is_told_only_from_a_measured_speed() -> None:
    assert of(chats()).seconds is None
    known = Known(speed=100.0, tokens_per_row={"texts": 50.0}, rows={"texts": 30}, price=36.0)
    stage = of(chats(batch=2, accumulation=4), known=known).stages[0]
    assert (stage.tokens, stage.seconds, stage.cost) == (10 * 8 * 50, 40.0, 0.4)
    epochs = of(chats(budget={"epochs": 2}), known=known).stages[0]
    assert epochs.tokens == 2 * 30 * 50
    assert of(chats(budget={"epochs": 2}), known=Known(speed=100.0)).seconds is None
    assert of(chats(budget={"tokens": 500}), known=known).seconds == 5.0


def test_advice_keeps_the_samples_of_a_step_and_gives_up_little_first() -> None:
    wanted = chats(batch=8, accumulation=2, length=1024, budget={"steps": 100})
    sizes = {}
    for settings in ([], ["stages.0.batch=4"], ["stages.0.batch=1"], ["stages.0.batch=1", "stages.0.length=256"]):
        sizes[len(sizes)] = of(override(wanted, settings)).memory_bytes
    whole, fewer, one, short = sizes.values()
    assert whole > fewer > one > short

    def told(free: int, **more: Any) -> tuple[str, ...] | None:
        found = advise(wanted, of, free, **more)
        assert found is None or found.estimate.memory_bytes <= free
        return None if found is None else found.settings

    assert told(fewer) == ("stages.0.batch=4", "stages.0.accumulation=4")
    assert told(one) == ("stages.0.batch=1", "stages.0.accumulation=16")
    assert told(short) == ("stages.0.batch=1", "stages.0.accumulation=16", "stages.0.length=256")
    assert told(10**6) is None


def test_four_bits_come_before_a_narrower_adapter_and_only_where_they_can_be_had() -> None:
    wanted = recipe(
        {"name": "a", "kind": "pretrain", "batch": 1, "length": 128},
        {"name": "b", "kind": "instruct", "batch": 4, "accumulation": 1, "length": 128},
        lora={"rank": 64},
    )

    def measure(changed: Recipe) -> Estimate:
        return of(changed, LLAMA_2)

    fitting = ["quantisation=nf4", "stages.1.batch=1", "stages.1.accumulation=4"]
    free = measure(override(wanted, fitting)).memory_bytes
    found = advise(wanted, measure, free)
    assert found is not None
    assert found.settings == ("quantisation=nf4", "stages.1.batch=1", "stages.1.accumulation=4")
    assert [change.kind for change in found.changes] == ["nf4", "batch"]
    assert advise(wanted, measure, free, four_bits=False) is None


def test_targets_that_fit_no_layer_are_refused() -> None:
    with pytest.raises(StudioError) as caught:
        of(override(chats(), ["lora.targets=[none]"]))
    assert caught.value.code == "training.bad_targets"
