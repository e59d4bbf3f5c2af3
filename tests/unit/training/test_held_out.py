"""Held-out figures: those of the model on disk, at no cost to the training that they interrupt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from studio.data.mixing.mix import mix
from studio.data.mixing.order import Order
from studio.data.sample import Text
from studio.data.starters import held_out_lines
from studio.data.stored import read_samples
from studio.evaluation.bits import measure_model
from studio.jobs.alarms import AlarmStore
from studio.jobs.database import Database
from studio.jobs.events import BASE_STAGE, Alarm, HeldOutRow, MetricRow
from studio.jobs.held_out import HeldOutStore
from studio.recipes import Recipe, override, parse_recipe
from studio.settings import Settings
from studio.training import held_out, milestones
from studio.training.curriculum import TrainResult
from studio.training.held_out import LANGUAGES, LEAST, SAMPLE_BYTES, choose_texts
from studio.training.journal import open_journal
from tests.tiny import build_tiny

Train = Callable[..., tuple[TrainResult, list[MetricRow]]]
ALIGN = (
    "{name: align, kind: align, data: [{dataset: pairs}], budget: {steps: 3}, rates: {rows: 2.0e-2}, "
    "batch: 2, accumulation: 1, length: 64}"
)
PRETRAIN = (
    "{name: pretrain, kind: pretrain, data: [{dataset: texts}], budget: {steps: 3}, rates: {lora: 5.0e-3}, "
    "batch: 2, accumulation: 1, length: 64}"
)


class Killed(BaseException):
    """Ends a training the way a kill does."""


def killed(*_: Any) -> None:
    raise Killed


@pytest.fixture(scope="module")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model with larger weights: a fresh one is sure of nothing, and hides rounding and stale rows."""
    folder = build_tiny(tmp_path_factory.mktemp("loud") / "model")
    weights = load_file(folder / "model.safetensors")
    loud = {name: 5 * weight if weight.ndim == 2 else weight for name, weight in weights.items()}
    save_file(loud, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


@pytest.fixture
def database(settings: Settings) -> Database:
    return Database(settings.database)


@pytest.fixture
def texts(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """Two kilobytes instead of ten, measured at every checkpoint however short the steps are."""
    monkeypatch.setattr(held_out, "SAMPLE_BYTES", {"fa": 2_000, "en": 2_000})
    monkeypatch.setattr(held_out, "FULL_TOKENS", 1)
    monkeypatch.setattr(held_out, "SHARE", 1e9)
    return choose_texts(recipe("texts"), settings)


def recipe(*datasets: str) -> Recipe:
    data = [{"dataset": name} for name in datasets]
    stages = [{"name": "s", "kind": "pretrain", "data": data, "budget": {"steps": 1}}]
    return parse_recipe({"name": "a", "base": "local:/x", "stages": stages})


def figures(database: Database, run: str) -> dict[tuple[str, int, int], HeldOutRow]:
    return {(row.language, row.stage, row.step): row for row in HeldOutStore(database).rows(run)}


@pytest.mark.parametrize(
    ("dtype", "changes", "new_words"),
    [
        (torch.float32, (), True),
        (torch.bfloat16, (), False),
        (torch.bfloat16, ("lora.dropout=0.2",), True),
        (torch.bfloat16, ("quantisation=nf4",), True),
    ],
    ids=["fp32", "bf16", "dropout", "nf4"],
)
def test_measuring_leaves_the_training_as_it_is(
    train: Train,
    settings: Settings,
    database: Database,
    texts: Any,
    words: Callable[[str], Path],
    dtype: torch.dtype,
    changes: tuple[str, ...],
    new_words: bool,
) -> None:
    stages = f"stages=[{ALIGN}, {PRETRAIN}]" if new_words else f"stages=[{PRETRAIN}]"
    if new_words:
        words("a")
        words("b")
    _, alone = train("a", stages, *changes, dtype=dtype)
    _, watched = train("b", stages, *changes, dtype=dtype, journal=open_journal(database, "b"))
    assert [(row.loss, row.grad_norm, row.grad_norm_new) for row in watched] == [
        (row.loss, row.grad_norm, row.grad_norm_new) for row in alone
    ]
    assert len(figures(database, "b")) > 6
    for name in ("adapter_model", "new_rows") if new_words else ("adapter_model",):
        ours, theirs = (
            load_file(sorted((settings.runs / run / "stages").iterdir())[-1] / f"{name}.safetensors")
            for run in ("a", "b")
        )
        assert all(torch.equal(ours[key], theirs[key]) for key in ours)


@pytest.mark.parametrize("new_words", [False, True])
def test_figures_are_those_of_the_model_on_disk(
    train: Train,
    settings: Settings,
    database: Database,
    texts: dict[str, list[str]],
    words: Callable[[str], Path],
    tiny_model: Path,
    new_words: bool,
) -> None:
    if new_words:
        words("a")
    stages = f"stages=[{ALIGN}, {PRETRAIN}]" if new_words else f"stages=[{PRETRAIN}]"
    train("a", stages, dtype=torch.bfloat16, journal=open_journal(database, "a"))
    found = figures(database, "a")
    last = max(row.stage for row in found.values())
    (settings.runs / "a" / "recipe.yaml").write_text(f"name: a\nbase: local:{tiny_model}\nstages: [{PRETRAIN}]\n")
    for reference, place in ((f"local:{tiny_model}", (BASE_STAGE, 0)), ("run:a", (last, 3))):
        for language in LANGUAGES:
            row, bits = found[(language, *place)], measure_model(reference, texts[language], settings)
            assert row.bits_per_byte == pytest.approx(bits.bits_per_byte, rel=1e-5)
            assert (row.tokens, row.bytes) == (bits.tokens, bits.bytes)
            assert row.loss * row.tokens == pytest.approx(row.bits_per_byte * row.bytes * 0.6931472)
    begun = found[("fa", 0, 0)]
    base = found[("fa", BASE_STAGE, 0)]
    assert (begun.tokens < base.tokens) == new_words, "the start is spelt with the new tokens, the base with its own"
    assert found[("fa", last, 3)].bits_per_byte < begun.bits_per_byte


@pytest.mark.parametrize("new_words", [False, True])
def test_a_resumed_run_replaces_its_figures_and_measures_an_end_that_was_missed(
    train: Train,
    database: Database,
    texts: Any,
    words: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
    new_words: bool,
) -> None:
    stages = f"stages=[{ALIGN}]" if new_words else f"stages=[{PRETRAIN}]"
    for run in ("a", "b") if new_words else ():
        words(run)
    with monkeypatch.context() as cut:
        cut.setattr(held_out.HeldOut, "at_end", killed)
        with pytest.raises(Killed):
            train("a", stages, journal=open_journal(database, "a"))
    places = [(-1, 0), (0, 0), (0, 1), (0, 2)]
    assert sorted(figures(database, "a")) == sorted((language, *place) for language in LANGUAGES for place in places)
    train("a", stages, journal=open_journal(database, "a"))
    train("b", stages, journal=open_journal(database, "b"))
    resumed, whole = figures(database, "a"), figures(database, "b")
    assert list(resumed) == list(whole)
    assert [row.bits_per_byte for row in resumed.values()] == [row.bits_per_byte for row in whole.values()]


def test_checkpoints_are_measured_while_that_is_cheap(
    train: Train, database: Database, texts: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(held_out, "SHARE", 0.0)
    train("a", f"stages=[{PRETRAIN}]", journal=open_journal(database, "a"))
    assert [place for place in figures(database, "a") if place[0] == "fa"] == [
        ("fa", -1, 0),
        ("fa", 0, 0),
        ("fa", 0, 3),
    ]


def test_english_that_is_lost_raises_an_alarm_against_the_base_of_the_runs_beginning(
    train: Train, database: Database, texts: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for run, limit in (("a", 0.2), ("b", 0.02)):
        same = [f"stages=[{PRETRAIN}]", f"evaluation.english_limit={limit}"]
        with monkeypatch.context() as cut:
            cut.setattr(held_out.HeldOut, "at_end", killed)
            with pytest.raises(Killed):
                train(run, *same, journal=open_journal(database, run))
        base = figures(database, run)[("en", BASE_STAGE, 0)]
        # three steps cost a random model no English, so the base is told to have been better
        HeldOutStore(database).add(run, replace(base, bits_per_byte=base.bits_per_byte / 1.1))
        train(run, *same, journal=open_journal(database, run))
        alarms = AlarmStore(database).rows(run)
        assert [(alarm.kind, alarm.stage, alarm.step) for alarm in alarms] == [("english_lost", 0, 3)][: limit < 0.1]
    now = figures(database, "b")[("en", 0, 3)].bits_per_byte
    assert alarms[0].details["share"] == pytest.approx(1.1 * now / base.bits_per_byte - 1)


def test_a_run_stops_where_english_is_lost_if_its_recipe_says_so(
    train: Train, database: Database, texts: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    two = f"stages=[{PRETRAIN}, {PRETRAIN.replace('name: pretrain', 'name: more')}]"
    lost = ["evaluation.english_limit=0", two]
    monkeypatch.setattr(
        held_out, "english_lost", lambda base, now, limit: Alarm(now.stage, now.step, "english_lost", 0.0)
    )
    result, rows = train("a", *lost, "evaluation.english=stop", journal=open_journal(database, "a"))
    assert (result.state, {row.stage for row in rows}) == ("stopped", {0})
    assert [alarm.kind for alarm in AlarmStore(database).rows("a")] == ["english_lost", "english_stopped"]
    result, rows = train("a", *lost, "evaluation.english=stop", journal=open_journal(database, "a"))
    assert (result.state, {row.stage for row in rows}) == ("done", {1}), "resumed, it goes on: somebody wants it so"
    result, rows = train("b", *lost, journal=open_journal(database, "b"))
    assert (result.state, {row.stage for row in rows}) == ("done", {0, 1}), "by default it warns"


def test_sample_answers_speak_with_the_learnt_rows(
    train: Train, settings: Settings, words: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, seen = words("a"), []

    def answer(model: Any, *_: Any, **__: Any) -> list[tuple[str, int]]:
        seen.append(model.get_base_model().get_output_embeddings().weight.detach().clone())
        return [("", 0)] * 3

    monkeypatch.setattr(milestones, "answer", answer)
    train("a", f"stages=[{ALIGN}]")
    start = load_file(folder / "new_rows.safetensors")
    learnt = load_file(settings.runs / "a" / "stages" / "00-align" / "new_rows.safetensors")
    assert torch.equal(seen[0][start["ids"]], start["input"])
    assert torch.equal(seen[-1][learnt["ids"]], learnt["input"])
    assert not torch.equal(seen[0], seen[-1])


def test_a_short_run_is_measured_on_less_text(settings: Settings) -> None:
    short = choose_texts(recipe("texts"), settings)  # 4,096 tokens at most
    long = choose_texts(override(recipe("texts"), ["stages.0.budget.steps=20"]), settings)
    for language in LANGUAGES:
        sizes = [sum(len(text.encode()) for text in texts[language]) for texts in (short, long)]
        assert sizes[0] <= LEAST * SAMPLE_BYTES[language] < sizes[1] <= SAMPLE_BYTES[language]
        assert sizes[0]


def test_texts_are_what_the_runs_own_mix_held_out(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(held_out, "FULL_TOKENS", 1)
    stories = choose_texts(recipe("texts"), settings)
    assert stories["fa"][0] == held_out_lines("fa")[0]
    for language in LANGUAGES:
        size = sum(len(text.encode()) for text in stories[language])
        assert 0.99 * SAMPLE_BYTES[language] < size <= SAMPLE_BYTES[language]
    order = Order.model_validate(
        {"kind": "text", "sources": [{"dataset": "texts"}, {"dataset": "pairs"}], "held_out": 0.3}
    )
    mix(order, settings.datasets, "mine", lambda texts: [len(text) for text in texts],
        progress=lambda share, note: None, stopping=lambda: False)  # fmt: skip
    own = choose_texts(recipe("mine"), settings)
    assert own["en"] == stories["en"]
    held = [row.text for row in read_samples(settings.datasets / "mine-held-out") if isinstance(row, Text)]
    assert 0 < len(own["fa"]) < len(held), "English is left out"
    assert set(own["fa"]) <= set(held)
