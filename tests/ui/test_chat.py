"""The chat page as a program drives it: columns, stages, retry, edit, files, blind votes and fixed prompts."""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from studio.i18n import LOCALES, say, sentences
from studio.services import chat, history, prompt_sets, votes
from studio.services.studio import Studio, open_studio
from studio.settings import Settings
from studio.ui.chat_columns import NAMES, without_last
from studio.ui.chat_views import past, title
from tests.live import LiveStudio
from tests.talking import make_talking_run
from tests.ui.api import KNOBS, Page, question

ASKED = "گربه کجا خوابیده بود؟"
COUNT = len(NAMES)
STAGES = ("align", "pretrain", "instruct")
NOTHING: list[list[Any]] = [[] for _ in NAMES]
"""Columns without a conversation."""


@pytest.fixture(params=LOCALES)
def fresh(request: pytest.FixtureRequest, api_live: LiveStudio) -> Page:
    """A page that nobody has talked on."""
    return Page(api_live, request.param)


@pytest.fixture
def studio(api_live: LiveStudio) -> Studio:
    return open_studio(Settings(api_live.workspace))


@pytest.fixture(scope="module")
def runs(api_live: LiveStudio) -> Iterator[list[str]]:
    """Runs that stay in the chat's memory until all is over; then they go, and their votes with them."""
    made: list[str] = []
    yield made
    studio = open_studio(Settings(api_live.workspace))
    chat.unload(studio)
    for run in made:
        history.delete(studio, run)
        assert votes.tally(studio, run) == []


@pytest.fixture
def models(fresh: Page, studio: Studio, tiny_model: Path, runs: list[str]) -> list[str]:
    """The tiny base and the three stages of a run on it."""
    runs.append(f"talker-{fresh.locale}-{time.time_ns()}")
    return [f"local:{tiny_model}", *make_talking_run(studio, runs[-1], tiny_model, STAGES)]


def texts(shown: Any) -> list[str]:
    """The last words in every column."""
    return [history[-1]["content"][0]["text"] for history in shown[:COUNT]]


def test_four_columns_answer_one_prompt(fresh: Page, studio: Studio, models: list[str]) -> None:
    run = models[-1].rpartition("/")[0]
    assert [name for name in chat.adapted(studio) if name.startswith(run)] == [run, *reversed(models[1:])]
    shown = fresh.ask("chat", *question(models, ASKED))
    assert len(set(texts(shown))) == COUNT, "a base and three stages say four things"
    unit = sentences(fresh.locale)["chat.speed"].rsplit("}", 1)[-1]
    assert all(unit in foot for foot in shown[COUNT : 2 * COUNT])
    told = json.loads(json.loads(fresh.ask("chat_json", *shown[:COUNT]))["text"])
    assert told["models"] == models
    answers = told["turns"][0]["answers"]
    # Gradio takes blanks off the ends of what it shows.
    assert [answer["messages"][-1]["content"].split() for answer in answers] == [text.split() for text in texts(shown)]
    assert all(answer["tokens_per_second"] > 0 for answer in answers)
    written = json.loads(fresh.ask("chat_markdown", *shown[:COUNT]))["text"]
    assert all(f"### {model}" in written for model in models)


def test_the_base_is_held_in_four_bits_for_who_asks(fresh: Page, studio: Studio, models: list[str]) -> None:
    told = fresh.ask("chat", *question(models[:2], ASKED, four_bits=True))
    assert all(history[-1]["role"] == "assistant" for history in told[:2])
    status = chat.status(studio)
    assert status is not None
    assert status.quantisation == "nf4"
    words = say(fresh.locale, "chat.loaded_four_bits", memory="", device="").split(":")[0]
    assert words in fresh.ask("chat_memory", "", "")["html"]
    fresh.ask("chat", *question(models[:1], ASKED))
    assert getattr(chat.status(studio), "quantisation", None) == "none"


def saved_turns(page: Page, shown: list[Any]) -> list[Any]:
    """The turns in the file that is saved while a page shows these conversations."""
    return list(json.loads(json.loads(page.ask("chat_json", *talked(shown)))["text"])["turns"])


def talked(shown: list[Any]) -> list[Any]:
    """The conversations of all columns, of which one that nobody asked anything has none."""
    return [column.get("value", []) if isinstance(column, dict) else column for column in shown[:COUNT]]


def test_a_question_is_asked_again_and_taken_back(fresh: Page, models: list[str]) -> None:
    assert fresh.refusal("chat_json", *NOTHING) == fresh.sentence("chat.nothing_to_export")
    first = fresh.ask("chat", *question(models[:1], ASKED))
    second = fresh.ask("chat", *question(models[:1], "چرا؟", first[:1]))
    assert [turn["role"] for turn in second[0]] == ["user", "assistant"] * 2
    job = fresh.client.submit(*question(models[:1], "نیمه‌کاره", second[:1]), api_name="/chat_retry")
    again = job.result(timeout=120)
    assert [turn["role"] for turn in again[0]] == ["user", "assistant"] * 2
    assert again[0][2]["content"][0]["text"] == "چرا؟"
    assert job.outputs()[0][2 * COUNT + 2] == KNOBS["seed"] + 1, "the same seed would give the same answer"
    turns = saved_turns(fresh, again)
    assert [turn["question"] for turn in turns] == [ASKED, "چرا؟"]
    assert [turn["sampling"]["seed"] for turn in turns] == [1, 2]
    back = fresh.ask("chat_edit", again[0], [], [], [])
    assert [turn["role"] for turn in back[0]] == ["user", "assistant"]
    assert back[2 * COUNT + 1] == "چرا؟"
    assert fresh.refusal("chat_edit", *NOTHING) == fresh.sentence("chat.nothing_asked")


def test_the_browser_begins_anew(fresh: Page, models: list[str]) -> None:
    """What it empties, it tells with the next event: nothing of before is kept or saved then."""
    fresh.ask("chat", *question(models[:1], ASKED))
    assert fresh.refusal("chat_json", *NOTHING) == fresh.sentence("chat.nothing_to_export")
    second = fresh.ask("chat", *question(models[:1], "چرا؟", number=1))
    assert [turn["question"] for turn in saved_turns(fresh, second)] == ["چرا؟"]


def test_only_what_was_begun_before_is_stopped(fresh: Page, models: list[str]) -> None:
    job = fresh.client.submit(*question(models[:1], ASKED, max_tokens=400, number=1), api_name="/chat")
    give_up = time.monotonic() + 60
    while len(job.outputs()) < 3 and time.monotonic() < give_up:
        time.sleep(0.05)
    fresh.ask("chat_stop", 0)
    fresh.ask("chat_hide_stop", 1)
    seen = len(job.outputs())
    while len(job.outputs()) < seen + 3 and time.monotonic() < give_up:
        time.sleep(0.05)
    assert not job.done(), "a late stop ended what was begun after it"
    fresh.ask("chat_clear_stop", 2)
    (answer,) = saved_turns(fresh, job.result(timeout=60))[0]["answers"]
    assert answer["reason"] == "stopped"


def test_a_column_that_was_added_later_keeps_what_it_has() -> None:
    late = past([{"role": "user", "content": "ب"}, {"role": "assistant", "content": "پ"}])
    assert without_last(late, "ب") == ()
    assert without_last(late, "الف") == late


def test_nothing_names_a_model_before_the_vote(fresh: Page, studio: Studio, models: list[str]) -> None:
    assert fresh.refusal("chat_vote", "0") == fresh.sentence("votes.nothing_to_judge")
    job = fresh.client.submit(*question([models[0], "", models[3]], ASKED, hidden=True), api_name="/chat")
    shown = job.result(timeout=120)
    for moment in job.outputs():
        written = json.dumps(moment, ensure_ascii=False)
        assert models[0] not in written
        assert models[3].removeprefix("run:") not in written
        assert not any(moment[COUNT : 2 * COUNT]), "nothing stands below the answers"
        lengths = [len(moment[place]["value"]) for place in (0, 2)]
        assert lengths in ([1, 1], [2, 2]), "one answer was seen before the other"
    assert [update["label"] for update in shown[:2]] == [
        say(fresh.locale, "vote.letter", letter=letter) for letter in say(fresh.locale, "vote.letters").split()[:2]
    ]
    assert shown[2 * COUNT] == "", "nobody waits any more"
    assert [value for _, value in shown[-1]["choices"]] == ["0", "2", "equal", "bad"]
    assert fresh.refusal("chat_json", *talked(shown)) == fresh.sentence("votes.judge_first")
    assert fresh.refusal("chat_json", *NOTHING) == fresh.sentence("chat.nothing_to_export")
    assert fresh.refusal("chat_vote", "1") == fresh.sentence("votes.bad_choice")
    voted = fresh.ask("chat_vote", "2")
    first, third = voted[0]["label"], voted[2]["label"]
    assert sum(title(models[0]) in label for label in (first, third)) == 1
    assert voted[COUNT], "speeds are shown now"
    (pair,) = votes.tally(studio, models[3].removeprefix("run:").partition("/")[0])
    assert (pair.model, pair.against) == (models[3], models[0])
    assert (pair.wins, pair.losses) == ((1, 0) if title(models[0]) in first else (0, 1))
    assert models[3].removeprefix("run:") in fresh.ask("votes", "", "")["html"]
    assert fresh.refusal("chat_vote", "2") == fresh.sentence("votes.nothing_to_judge"), "a vote counts once"
    assert saved_turns(fresh, shown)[0]["question"] == ASKED


def test_the_order_differs_from_question_to_question(fresh: Page, studio: Studio, models: list[str]) -> None:
    places = set()
    for _ in range(24):
        fresh.ask("chat", *question(models[:2], ASKED, hidden=True, max_tokens=1))
        places.add(title(models[0]) in fresh.ask("chat_vote", "bad")[0]["label"])
        if len(places) == 2:
            return
    raise AssertionError(f"24 times the base stood in the same place: {places}")


def test_fixed_prompts_become_a_table(fresh: Page, models: list[str]) -> None:
    assert fresh.refusal("prompts_csv") == fresh.sentence("prompts.nothing_to_save")
    chosen = [models[0], "", models[1], models[0]]
    about, table = fresh.ask("prompts", ["consistency"], *chosen, *KNOBS.values())
    known = prompt_sets.subjects()["consistency"]
    assert say(fresh.locale, "prompts.progress", done=len(known), total=len(known)) in about
    assert all(prompt in table for prompt in known)
    assert say(fresh.locale, "prompts.subject.consistency") in table
    saved = json.loads(fresh.ask("prompts_csv"))["text"]
    assert saved[0] == "\ufeff"
    lines = list(csv.reader(io.StringIO(saved[1:], newline="")))
    assert lines[0][2::3] == [models[0], models[1]], "a model in two columns is asked once"
    assert [line[1] for line in lines[1:]] == list(known)


def test_fixed_prompts_stop_when_told(fresh: Page, models: list[str]) -> None:
    knobs = {**KNOBS, "max_tokens": 200}
    job = fresh.client.submit(list(prompt_sets.subjects()), *models, *knobs.values(), api_name="/prompts")
    give_up = time.monotonic() + 60
    while len(job.outputs()) < 3 and time.monotonic() < give_up:
        time.sleep(0.05)
    fresh.ask("prompts_stop")
    about, _ = job.result(timeout=60)
    total = sum(map(len, prompt_sets.subjects().values()))
    stopped = [say(fresh.locale, "prompts.stopped", done=done, total=total) for done in range(total)]
    assert any(sentence in about for sentence in stopped), about


def test_a_column_that_goes_leaves_nothing_behind(fresh: Page) -> None:
    """Of columns and buttons a program sees nothing: the browser's test does."""
    for _ in range(COUNT):
        fresh.ask("chat_add")
    gone = fresh.ask("chat_remove")
    models, histories, feet = (gone[start : start + COUNT] for start in (0, COUNT, 2 * COUNT))
    assert (models[3], histories[3], feet[3]) == ("", [], "")
    assert all("value" not in kept[2] for kept in (models, histories, feet))
    assert fresh.ask("chat_remove")[2] == "", "the third goes next"
    assert all("value" not in kept for kept in fresh.ask("chat_remove")[:2]), "two stay"


def test_the_first_column_follows_to_another_base(fresh: Page, models: list[str]) -> None:
    for name, held in (("chat_base", "starter:smollm2-135m"), ("chat_base_third", None)):
        told = fresh.ask(name, models[1], held)
        assert told["value"] == models[0]
        assert [models[0], models[0]] in told["choices"], "also where its folder is in no list"
    assert "value" not in fresh.ask("chat_base_fourth", models[1], models[2]), "it is on that base already"


def test_manners_turn_the_knobs(fresh: Page) -> None:
    temperature, top_p, top_k, penalty, tokens = fresh.ask("chat_manner", "report")
    assert (temperature, top_p, top_k, penalty, tokens) == (0.1, 0.95, 64, 0, 500)
    assert fresh.ask("chat_manner", "careful")[0] == 0
    assert "value" not in fresh.ask("chat_manner", "lively")[4], "the length stays"
    assert fresh.ask("chat_manner_of", 0.1, 0.95, 64, None) == "report"
    assert fresh.ask("chat_manner_of", 0.1, 0.95, 64, 0) == "report"
    assert fresh.ask("chat_manner_of", 0.2, 0.95, 64, None) is None
