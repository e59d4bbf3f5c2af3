"""``estimate RECIPE`` as a terminal runs it, and what earlier runs teach it."""

from __future__ import annotations

import html
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from studio.i18n import number, say
from studio.jobs.store import NewJob
from studio.recipes import dump_recipe
from studio.services import estimates, training
from studio.services.studio import open_studio
from studio.settings import Settings
from studio.ui.train_estimate import card_update, estimate_view
from tests.live import command
from tests.unit.models.test_anatomy import LLAMA_2

STAGE = {"name", "kind", "parameters", "trainable", "memory", "memory_bytes", "mapped_bytes", "tokens", "seconds",
         "disk_bytes"}  # fmt: skip


def test_a_preset_is_estimated_stage_by_stage(tiny_model: Path, tmp_path: Path) -> None:
    base = f"base=local:{tiny_model}"
    told = command(tmp_path / "w", "estimate", "first_steps", "--set", base)
    assert set(told) == {
        "stages",
        "memory_bytes",
        "disk_bytes",
        "seconds",
        "free_bytes",
        "fits",
        "left_out",
        "parts",
        "advice",
    }
    stage = told["stages"][0]
    assert set(stage) == STAGE
    assert sum(stage["memory"].values()) == stage["memory_bytes"] == told["memory_bytes"]
    assert (told["fits"], told["advice"], told["seconds"]) == (True, None, None)
    huge = command(tmp_path / "w", "estimate", "first_steps", "--set", base, "--set", "stages.0.batch=65536", "--set",
                   "stages.0.accumulation=1")  # fmt: skip
    assert huge["fits"] is False
    settings = dict(setting.split("=") for setting in huge["advice"]["settings"])
    assert int(settings["stages.0.batch"]) * int(settings["stages.0.accumulation"]) == 65536
    assert huge["advice"]["memory_bytes"] <= huge["free_bytes"]
    assert huge["advice"]["fa"] != huge["advice"]["en"]
    priced = command(tmp_path / "w", "estimate", "first_steps", "--set", base, "--price", "2")
    assert "cost" not in priced["stages"][0], "without a time there is no cost"


def test_a_base_that_is_not_here_needs_its_config(tmp_path: Path) -> None:
    refused = command(tmp_path / "w", "estimate", "first_steps", status=1)
    assert refused["error"] == "model.not_fetched"
    config = tmp_path / "config.json"
    config.write_text(json.dumps(LLAMA_2), encoding="utf8")
    order = ("estimate", "first_steps", "--set", "base=hub:meta-llama/Llama-2-7b-hf", "--config")
    told = command(tmp_path / "w", *order, str(config))
    assert told["stages"][0]["parameters"] - told["stages"][0]["trainable"] == 6_738_415_616
    for text in (None, "[]", "{"):
        config.unlink() if text is None else config.write_text(text, encoding="utf8")
        assert command(tmp_path / "w", *order, str(config), status=1)["error"] == "estimate.no_config"
    config.write_text('{"model_type": "mamba"}', encoding="utf8")
    assert command(tmp_path / "w", *order, str(config), status=1)["error"] == "estimate.unknown_family"


@pytest.mark.parametrize("locale", ["fa", "en"])
def test_cards_that_divide_the_layers_are_told(locale: str, tiny_model: Path, tmp_path: Path) -> None:
    settings = Settings(tmp_path / "w", processes=2)
    wanted = training.read_recipe("first_steps", [f"base=local:{tiny_model}"])
    sentence = html.escape(say(locale, "estimate.parts", cards=number(locale, 2)))
    for divide, parts in ((True, 2), (None, 1)):
        found = estimates.before(open_studio(replace(settings, divide=divide)), wanted)
        assert estimates.as_json(found)["parts"] == parts
        assert (sentence in estimate_view(locale, found)) is bool(divide)


def test_earlier_runs_of_the_base_tell_speed_and_tokens(tiny_model: Path, tmp_path: Path) -> None:
    studio = open_studio(Settings(tmp_path / "w"))
    wanted = training.read_recipe("first_steps", [f"base=local:{tiny_model}", "stages.0.budget.steps=10"])
    assert estimates.before(studio, wanted).estimate.seconds is None
    run = studio.settings.runs / "first_steps-1"
    (run / "stages" / "00-chat").mkdir(parents=True)
    (run / "recipe.yaml").write_text(dump_recipe(wanted), encoding="utf8")
    counted: dict[str, Any] = {"sample-chats": {"rows": 4, "tokens": 400}}
    (run / "stages" / "00-chat" / "data.json").write_text(json.dumps(counted), encoding="utf8")
    job = studio.jobs.add(NewJob("train", run.name, {"run": run.name}, lane="device", run=run.name))
    studio.jobs.finish(job, "done", result={"tokens_per_second": 50.0})
    found = estimates.before(studio, wanted, price=3.6).estimate.stages[0]
    samples = 10 * wanted.stages[0].batch * wanted.stages[0].accumulation
    assert (found.tokens, found.seconds) == (samples * 100, samples * 100 / 50.0)
    assert found.cost == found.seconds / 1000
    other = training.read_recipe("first_steps", [f"base=local:{tiny_model.parent / 'model'}/"])
    assert estimates.before(studio, other).estimate.seconds is None, "another base has another speed"


def test_the_button_shows_only_where_it_helps(tiny_model: Path, tmp_path: Path) -> None:
    studio = open_studio(Settings(tmp_path / "w"))

    def button(*settings: str) -> bool:
        base = f"base=local:{tiny_model}"
        return card_update("fa", studio, lambda: training.read_recipe("first_steps", [base, *settings]))[1]["visible"]

    assert button() is False
    assert button("stages.0.batch=65536") is True
    assert button("base=starter:gemma3-270m") is False
