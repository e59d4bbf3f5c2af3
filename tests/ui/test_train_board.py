"""The board of a run: held-out figures beside the base's, energy where it is known, alarms in words."""

from __future__ import annotations

import json
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from studio.i18n import LOCALES, say
from studio.jobs.events import Alarm, HeldOutRow, MetricRow
from studio.recipes import dump_recipe
from studio.services import diary, training
from studio.services.studio import Studio, open_studio
from studio.settings import Settings
from studio.training.alarms import KINDS
from studio.ui.train_board import board_view

DETAILS: dict[str, dict[str, Any]] = {
    "loss_spike": {"series": "loss", "value": 6.5, "usual": 2.125},
    "gradient_spike": {"series": "grad_norm_new", "value": 6.5, "usual": 0.5},
    "loss_rises": {"value": 2.5, "best": 1.75, "steps": 50},
    "zero_loss": {},
    "not_finite": {},
    "english_lost": {"share": 0.0312, "limit": 0.02, "value": 1.48, "base": 1.435},
}


def metric(step: int, energy: float | None = None) -> MetricRow:
    return MetricRow(0, step, 100.0, 2.0, 1.0, None, 2e-4, 10, 30, 5.0, 15.0, 1000, energy)


def held(stage: int, step: int, language: str, bits: float) -> HeldOutRow:
    return HeldOutRow(stage, step, language, bits, 2.5, 100, 200, 50.0)


@pytest.fixture
def studio(tmp_path: Path) -> Studio:
    studio = open_studio(Settings(tmp_path / "workspace"))
    folder = studio.settings.runs / "r"
    folder.mkdir(parents=True)
    recipe = dump_recipe(training.read_recipe("first_steps"))
    (folder / "recipe.yaml").write_text(recipe, encoding="utf8")
    return studio


def board(locale: str, studio: Studio) -> str:
    return unescape(str(board_view(locale, studio, "r")))


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("kind", KINDS)
def test_every_alarm_says_what_happened(locale: str, kind: str, studio: Studio) -> None:
    assert DETAILS.keys() == set(KINDS)
    studio.alarms.add("r", Alarm(0, 7, kind, 0.0, DETAILS[kind]))
    sentence = diary.alarm_sentence(locale, training.alarms(studio, "r")[0])
    assert "{" not in sentence
    if kind == "english_lost":
        assert ("۳٫۱٪" if locale == "fa" else "3.1%") in sentence
    if kind == "gradient_spike":
        assert say(locale, "curves.grad_norm_new") in sentence
    assert (sentence in board(locale, studio)) == (kind != "not_finite"), "the error of the job says that one"


def test_of_each_kind_the_newest_alarm_is_shown(studio: Studio) -> None:
    for step in (7, 80):
        studio.alarms.add("r", Alarm(0, step, "zero_loss", 0.0))
    shown = board("en", studio)
    assert shown.count(say("en", "alarms.zero_loss")) == 1
    assert "instruct, step 80" in shown


def test_figures_stand_beside_the_bases_and_only_what_is_known_is_shown(studio: Studio) -> None:
    studio.metrics.add("r", metric(1))
    assert say("en", "train.figure.energy") not in board("en", studio)
    assert say("en", "train.held_out.fa") not in board("en", studio)
    for language, base, now in (("fa", 1.9111, 1.8), ("en", 1.437, 1.4512)):
        studio.held_out.add("r", held(-1, 0, language, base))
        studio.held_out.add("r", held(0, 0, language, base))
        studio.held_out.add("r", held(0, 1, language, now))
    (studio.settings.runs / "r" / "energy.json").write_text(json.dumps({"source": "rapl"}))
    studio.metrics.add("r", metric(2, 45_000.0))
    shown = board("fa", studio)
    for text in (
        "۱٫۸۰۰",
        "مدل پایه: ۱٫۹۱۱",
        "۱٫۴۵۱",
        "مدل پایه: ۱٫۴۳۷",
        "۱۲٫۵ وات‌ساعت",
        say("fa", "train.energy.rapl"),
    ):
        assert text in shown


def test_a_held_out_figure_reaches_a_page_that_has_every_step(studio: Studio) -> None:
    for step in (1, 2, 3):
        studio.metrics.add("r", metric(step))
    first = training.curves(studio, "r")
    assert "bits_fa" not in first["series"]
    for language in ("fa", "en"):
        studio.held_out.add("r", held(-1, 0, language, 1.9))
        studio.held_out.add("r", held(0, 0, language, 2.1))
        studio.held_out.add("r", held(0, 3, language, 1.7))
    again = training.curves(studio, "r", first["token"])
    assert again["replace"]
    assert again["series"]["bits_en"] == {"x": [0, 3], "y": [2.1, 1.7]}
    assert again["series"]["held_out_loss"]["x"] == [0, 3]
    assert again["series"]["loss"]["x"] == [1, 2, 3]
    assert training.curves(studio, "r", again["token"])["unchanged"]
    studio.metrics.add("r", replace(metric(4), stage=0))
    later = training.curves(studio, "r", again["token"])
    assert (later["replace"], later["series"]["loss"]["x"], "bits_fa" in later["series"]) == (False, [4], False)
    assert later["token"] < 2**53


def test_a_recipe_is_read_once_and_again_when_it_changed(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    read = []
    load = training.load_recipe
    monkeypatch.setattr(training, "load_recipe", lambda path: read.append(path) or load(path))
    before = training.get(studio, "r").recipe.seed
    assert training.get(studio, "r").recipe.seed == before
    assert len(read) == 1
    file = studio.settings.runs / "r" / "recipe.yaml"
    file.write_text(file.read_text(encoding="utf8").replace(f"seed: {before}", "seed: 77"), encoding="utf8")
    assert training.get(studio, "r").recipe.seed == 77
