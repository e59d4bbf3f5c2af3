"""Every handler of the pages has a name and works through `gradio_client`, in both languages."""

from __future__ import annotations

import ast
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from gradio_client import handle_file

from studio.errors import StudioError
from studio.i18n import say
from studio.services import costs, jobs, prompt_sets
from studio.services.costs import Prices
from studio.services.studio import open_studio
from studio.settings import ROOT, Settings
from studio.ui.uploaded import uploaded
from tests.live import LiveStudio
from tests.ui.api import KNOBS, Page, form, question

PANELS = (
    "story",
    "imports",
    "health",
    "cleaning",
    "catalogue",
    "mixes",
    "board",
    "report",
    "answers",
    "status",
    "chat_memory",
    "bases",
    "exports",
    "towards",
    "published",
    "all_jobs",
    "job",
    "past_jobs",
    "ended",
    "vocabulary_base",
    "learning",
    "starts",
    "history",
    "past_run",
    "votes",
)
EVENTS = ("click", "change", "input", "submit", "tick", "upload", "select", "blur", "then", "success")
CLOCKS = {"data_names", "mix_choices", "vocabulary_choices", "runs", "chat_choices", "export_choices", "shareable",
          "publish_choices", "card_again", "history_runs", "job_choices", "evaluate_choices"}  # fmt: skip
ON_OPENING = {"card_open", "shared", "prices_kept", "expected_time", "device", "token", "workspace", "estimate_open"}
FOLLOWING = {
    "card",
    "export_kind",
    "towards_of",
    "data_preset",
    "vocabulary_base_of",
    "vocabulary_name",
    "starts_of",
}
AT_ONCE = {"vocabulary_size", "mix_shares", "show_run", "chat_stop", "chat_clear_stop", "disk_use", "history_find",
           "history_newer", "history_older", "history_cancel", "job_show", "jobs_page", "code_other", "chat_add",
           "chat_remove", "chat_hide_stop", "chat_manner", "chat_manner_of", "prompts_stop"}  # fmt: skip
ROUND_THE_QUEUE = CLOCKS | ON_OPENING | FOLLOWING | AT_ONCE


def handlers(api_live: LiveStudio, locale: str) -> list[str]:
    """The names of everything on a page that calls Python."""
    config = json.loads(api_live.get(f"/{locale}/config"))
    return [dependency["api_name"] for dependency in config["dependencies"] if dependency["backend_fn"]]


def test_of_choices_in_quick_succession_the_last_is_followed(api_live: LiveStudio) -> None:
    """Gradio leaves out what is chosen while an answer is under way.

    That is right for a vote; and nothing is left out of what stops answers.
    """
    config = json.loads(api_live.get("/fa/config"))
    of_choices = {
        dependency["api_name"]: dependency["trigger_mode"]
        for dependency in config["dependencies"]
        if dependency["backend_fn"]
        and any(event in ("input", "select", "change", "then") for _, event in dependency["targets"])
    }
    assert len(of_choices) > 20
    others = {name for name, mode in of_choices.items() if mode != "always_last"}
    assert others == {"chat_vote", "chat_hide_stop", "code_other"}


def test_every_handler_has_a_name_of_its_own(api_live: LiveStudio) -> None:
    english, persian = handlers(api_live, "en"), handlers(api_live, "fa")
    assert english == persian
    assert len(english) > 40
    # Without a name Gradio makes one of the function's, numbered when that is taken: answer, lambda_1, run_2.
    nameless = [name for name in english if not name or "lambda" in name or name.rsplit("_", 1)[-1].isdigit()]
    assert nameless == []
    assert len(set(english)) == len(english)


def test_what_a_person_starts_is_queued(api_live: LiveStudio) -> None:
    """Gradio's page shows neither errors nor notes of an event that goes round the queue."""
    config = json.loads(api_live.get("/en/config"))
    events = [each for each in config["dependencies"] if each["targets"] and each["backend_fn"]]
    straight = {each["api_name"] for each in events if not each["queue"]}
    assert straight == ROUND_THE_QUEUE


def test_no_event_is_left_to_a_default_name() -> None:
    asked, forgotten = 0, []
    for path in sorted((ROOT / "studio" / "ui").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            ours = isinstance(node.func.value, ast.Name) and node.func.value.id == "gr"
            if node.func.attr in EVENTS or (ours and node.func.attr in ("on", "api")):
                asked += 1
                if "api_name" not in {keyword.arg for keyword in node.keywords}:
                    forgotten.append(f"{path.name}:{node.lineno}")
    assert asked > 30
    assert forgotten == []


def test_the_client_sees_the_same_handlers(page: Page) -> None:
    seen = page.client.view_api(return_format="dict", print_info=False)
    assert isinstance(seen, dict)
    assert {name.removeprefix("/") for name in seen["named_endpoints"]} == set(handlers(page.live, page.locale))
    assert seen["unnamed_endpoints"] == {}


def test_a_forged_call_names_no_file_outside_the_uploads(api_live: LiveStudio, tmp_path: Path) -> None:
    """Gradio checks paths only in events that unpack their values; ours check themselves."""
    studio = open_studio(Settings(api_live.workspace))
    ours = studio.settings.uploads / "suite.txt"
    ours.parent.mkdir(parents=True, exist_ok=True)
    ours.touch()
    assert uploaded(studio, [{"path": str(ours)}]) == [ours]
    for path in (tmp_path / "other.txt", studio.settings.uploads / ".." / "studio.db"):
        with pytest.raises(StudioError) as caught:
            uploaded(studio, [{"path": str(path)}])
        assert caught.value.code == "data.no_such_file"


def test_refusals_speak_the_language_of_the_page(page: Page, tmp_path: Path) -> None:
    empty = tmp_path / "empty.txt"
    empty.touch()
    before = jobs.listing(open_studio(Settings(page.live.workspace)))
    bad = "nonsense"
    asked: dict[str, tuple[str, Sequence[Any]]] = {
        page.sentence("data.file_empty", file="empty.txt"): ("data_look", ([handle_file(str(empty))], "")),
        page.sentence("data.no_such_dataset", name=bad): ("data_import_starter", (bad,)),
        page.sentence("hub.bad_id", repo=bad): ("data_import_hub", (bad, "", "train", 10, "x")),
        page.sentence("catalogue.unknown", name=bad): ("catalogue_choose", (bad,)),
        page.sentence("catalogue.not_on_hub", name="mizan"): ("catalogue_check", ("mizan",)),
        page.sentence("model.bad_reference", reference=bad): ("models_fetch", (bad,)),
        page.sentence("hub.bad_token"): ("token_set", (bad,)),
        page.sentence("vocabulary.no_corpus"): ("vocabulary_learn", (bad, [], "", 100, "arabic")),
        page.sentence("vocabulary.bad_name", name="A/B", suggestion="b"): (
            "vocabulary_learn", ("starter:smollm2-135m", ["sample-prose"], "A/B", 100, "arabic"),
        ),
        page.sentence("model.not_fetched", reference="starter:gemma3-270m"): (
            "vocabulary_learn", ("starter:gemma3-270m", ["sample-prose"], "", 100, "arabic"),
        ),
        page.sentence("vocabulary.nothing_runs"): ("vocabulary_stop", ()),
        page.sentence("vocabulary.unknown", name=bad): ("vocabulary_show", (bad, "")),
        page.sentence("vocabulary.unknown", name="../x"): ("vocabulary_delete", ("../x",)),
        page.sentence("vocabulary.unknown", name=""): ("vocabulary_use", (None, 3)),
        page.sentence("vocabulary.nothing_to_compare"): ("vocabulary_compare", ([],)),
        page.sentence("run.unknown", run=bad): ("stop", (bad,)),
        page.sentence("run.unknown", run=""): ("resume", (None,)),
        page.sentence("publish.no_run"): ("export", (None, "merged", "bfloat16", "q8_0", 0, "")),
        page.sentence("chat.no_model"): ("chat", question([], "سلام")),
        page.sentence("chat.bad_knob", key="top_p", fault="less_than_equal", bound=1.0): (
            "chat", question(["starter:smollm2-135m"], "سلام", temperature=0.7, top_p=7),
        ),
        page.sentence("chat.nothing_asked"): ("chat_retry", question(["starter:smollm2-135m"], "سلام")),
        page.sentence("votes.needs_two"): (
            "chat", question(["starter:smollm2-135m", "starter:smollm2-135m"], "سلام", hidden=True),
        ),
        page.sentence("prompts.no_subject"): ("prompts", ([], "starter:smollm2-135m", "", "", "", *KNOBS.values())),
        page.sentence("prompts.unknown_subject", subject=bad, known=", ".join(prompt_sets.subjects())): (
            "prompts", ([bad], "starter:smollm2-135m", "", "", "", *KNOBS.values()),
        ),
        page.sentence("job.none_chosen"): ("job_up", (None,)),
        page.sentence("job.unknown", job="999999"): ("job_stop", ("999999",)),
        page.sentence("recipe.invalid", key="stages.0.budget.steps", fault="greater_than_equal", bound=1): (
            "run", form(budget=0),
        ),
        page.sentence("recipe.invalid", key="lora.rank", fault="less_than_equal", bound=1024): (
            "run", form(budget=4, rank=9999),
        ),
        page.sentence("recipe.invalid", key="stages.2.length", fault="greater_than_equal", bound=16): (
            "run", form("recommended", shown="instruct", length=3),
        ),
        page.sentence("recipe.no_stages", recipe="recommended"): ("run", form("recommended", stages=[])),
        page.sentence("recipe.bad_setting", setting="budget.steps=many"): (
            "stage", ["align", *form("recommended", kept="stages.0.budget.steps=many", shown="instruct")],
        ),
        page.sentence("recipe.rows_without_vocabulary", stage="align"): ("run", form("recommended", vocabulary="")),
        page.sentence("vocabulary.unknown", name="none-such"): ("run", form("recommended", vocabulary="none-such")),
        page.sentence("data.no_such_dataset", name="none"): ("run", form(datasets=["none"], budget=4)),
    }  # fmt: skip
    for sentence, (name, values) in asked.items():
        assert page.refusal(name, *values) == sentence, name
    after = jobs.listing(open_studio(Settings(page.live.workspace)))
    assert [job.id for job in after] == [job.id for job in before], "what is refused queues nothing"


def test_the_token_is_kept_and_forgotten_but_never_told(page: Page) -> None:
    secret = "hf_" + "x" * 30
    told, field = page.ask("token_set", secret)
    assert (say(page.locale, "settings.token_kept") in told, field) == (True, "")
    assert secret not in str(page.ask("token"))
    assert say(page.locale, "settings.token_absent") in page.ask("token_forget")


def test_prices_are_kept_and_an_empty_field_is_none_of_them(page: Page) -> None:
    assert page.refusal("prices", 2, 0, "", 0, "") == page.sentence("prices.no_currency")
    page.ask("prices", 2, 0, "تومان", 0, "")
    assert page.ask("prices_kept") == (2, 0, "تومان", 0, "")
    assert costs.prices(open_studio(Settings(page.live.workspace))) == Prices(hour=2, currency="تومان")
    page.ask("prices", 0, 0, "", 0, "")
    assert page.ask("prices_kept") == (0, 0, "", 0, "")


def test_live_panels_answer_once_and_then_only_what_is_new(page: Page) -> None:
    for name in PANELS:
        first = page.ask(name, "", "")
        assert set(first) == {"token", "unchanged", "html"}, name
        again = page.ask(name, "", first["token"])
        assert again == {"token": first["token"], "unchanged": True}, name
    assert page.refusal("board", "none-1", "") == page.sentence("run.unknown", run="none-1")
    assert say(page.locale, "train.empty_title") in page.ask("board", "", "")["html"]
    assert say(page.locale, "publish.exports_empty") in page.ask("exports", "", "")["html"]
    curves = page.ask("curves", "none-1", None)
    assert (curves["series"], curves["stages"]) == ({}, [])
    for name, word in {"device": "start.device", "workspace": "settings.workspace"}.items():
        assert say(page.locale, word) in page.ask(name)
