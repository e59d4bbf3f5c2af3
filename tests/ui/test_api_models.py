"""Vocabularies, training, runs and chat through `gradio_client`, in both languages."""

from __future__ import annotations

from pathlib import Path

from studio.i18n import number, say, sentences
from studio.services import expansion, history, jobs
from studio.services.studio import open_studio
from studio.settings import Settings
from studio.tokenizer.proof import untouched
from tests.live import LiveStudio
from tests.past import make_run, measure
from tests.ui.api import Page, form, question


def test_a_vocabulary_is_learned_seen_at_every_size_taken_and_deleted(page: Page, tiny_model: Path) -> None:
    model, name, sentence = f"local:{tiny_model}", f"words-{page.locale}", "کتاب‌ها را می‌خوانم."
    coming, _ = page.ask("vocabulary_learn", model, ["sample-stories"], name, 400, "arabic")
    assert coming == name
    studio = open_studio(Settings(page.live.workspace))
    assert jobs.wait(studio, jobs.listing(studio)[0].id).state == "done"
    assert name in page.ask("learning", "", "")["html"]
    chosen = page.ask("vocabulary_choices", model, None, coming)
    assert (chosen[2]["value"], chosen[3]) == (name, ""), "what was learned is chosen by itself"
    advice, slider, figures, curve, chips, behind, english = page.ask("vocabulary_show", name, sentence)
    assert say(page.locale, "vocabulary.advice.nothing_frequent", enough=500) in advice
    assert slider["maximum"] == 400
    assert say(page.locale, "vocabulary.saving") in figures
    assert [mark["x"] for mark in curve["value"]["marks"]][1] == slider["value"]
    assert 'class="marked"' in chips
    assert "local:" in behind
    assert say(page.locale, "vocabulary.english_title") in english
    assert page.ask("vocabulary_tokens", name, slider["value"], "").count("<tr>") > 200
    smaller = page.ask("vocabulary_size", name, 20, sentence)
    assert smaller[0] != figures
    assert smaller[1]["value"]["series"] == curve["value"]["series"]
    measured = page.ask("vocabulary_english", name, 20)
    checked = sum(bool(line.strip()) for line in untouched(expansion.view(studio, name).vocabulary))
    assert say(page.locale, "vocabulary.english", changed=0, checked=checked) in measured
    assert say(page.locale, "vocabulary.tokens_shown", shown=0, count=0) in page.ask(
        "vocabulary_tokens", name, 20, "ژژژ"
    )
    taken = page.ask("vocabulary_use", name, 20)
    assert taken["value"] == f"{name}-20"
    assert say(page.locale, "starts.none") in page.ask("starts", taken["value"], "")["html"]
    left = page.ask("vocabulary_delete_sure", taken["value"])
    assert left["value"] == name
    table, plot = page.ask("vocabulary_compare", [model])
    assert say(page.locale, "vocabulary.compared.parity") in table
    assert plot["value"]["sideways"]
    assert page.ask("vocabulary_letters", model, ["sample-stories"]) == ""


def test_what_a_training_takes_is_said_before_it_starts(page: Page, tiny_model: Path) -> None:
    base = f"local:{tiny_model}"
    values = form(base=base, budget=4, length=512, batch=2, accumulation=2)
    card = page.ask("estimate", *values)
    assert 'role="img"' in card
    assert say(page.locale, "estimate.part.activations") in card
    assert number(page.locale, 16 * 2 * (2 * 128 + 2 * 96 + 3 * 192)) in card, "what learns"
    opened = page.ask("estimate_open", *values)
    assert opened == card or 'role="img"' in opened
    more = "stages.0.batch=16384\nstages.0.accumulation=1"
    huge = form(base=base, budget=4, length=512, batch=2, accumulation=2, more=more)
    card = page.ask("estimate", *huge)
    assert 'class="banner warn"' in card
    *_, length, batch, accumulation, rank, more = page.ask("estimate_apply", *huge)
    assert (batch * accumulation, "batch" in more) == (16384, False), "what a knob says is not said twice"
    wrong = page.ask("estimate", *form(base=base, more="lora.rang=3"))
    assert page.sentence("recipe.invalid", key="lora.rang", fault="extra_forbidden") in wrong
    absent = page.ask("estimate", *form(base="starter:gemma3-270m"))
    assert say(page.locale, "estimate.absent") in absent


def test_advice_on_a_later_stage_waits_there(page: Page, tiny_model: Path) -> None:
    values = form("recommended", base=f"local:{tiny_model}", kept="stages.2.batch=65536\nstages.2.budget.steps=9")
    assert 'class="banner warn"' in page.ask("estimate", *values)
    shown, kept, *_ = page.ask("estimate_apply", *values)
    assert shown == "align"
    settled = form("recommended", base=f"local:{tiny_model}", kept=kept)
    assert 'class="banner warn"' not in page.ask("estimate", *settled)
    stage = page.ask("stage", "instruct", *settled)
    assert (stage[0], stage[3]) == ("instruct", 9)
    assert stage[8] < 65536


def test_a_recipe_fills_the_knobs_and_says_what_it_is_for(page: Page) -> None:
    base, vocabulary, size, stages, shown, kept, data, budget, unit, *knobs, more, stage, about = page.ask(
        "recipe", "gemma3n_persian"
    )
    assert (more, shown, kept) == ("", "chat", "")
    assert (base, budget, unit) == ("hub:unsloth/gemma-3n-E4B-it", 1, "epochs")
    assert data["value"] == ["persian-gk"]
    assert "persian-gk" in str(data["choices"])
    assert (vocabulary["value"], size["visible"]) == ("", False)
    assert (stages["visible"], stage["visible"]) == (False, False), "one stage needs no choice"
    lora, rows, *rest = knobs
    assert (lora["value"], lora["visible"], rows["visible"]) == (2e-5, True, False)
    assert rest == [4000, 2, 4, 8, 3407]
    assert say(page.locale, "recipes.gemma3n_persian") in about


def test_a_recipe_of_several_stages_shows_each_of_them(page: Page) -> None:
    filled = page.ask("recipe", "llama_persian:no_lora")
    assert [name for _, name in filled[3]["choices"]] == ["align-persian", "align-pairs", "pretrain", "instruct"]
    assert filled[-2]["value"] == "align-persian"
    assert filled[1]["value"] == "+new"
    typed = form("llama_persian:no_lora", shown="align-persian", budget=77, unit="steps")
    pairs = page.ask("stage", "align-pairs", *typed)
    assert pairs[:2] == ("align-pairs", "stages.0.budget.steps=77")
    assert (pairs[2]["value"], pairs[3], pairs[4]) == (["fa-en-pairs"], 1, "epochs")
    instruct = page.ask("stage", "instruct", *form("llama_persian:no_lora", shown=pairs[0], kept=pairs[1]))
    assert (instruct[5]["visible"], instruct[6]["visible"]) == (False, True), "no rate for an adapter that rests"
    again = page.ask("stage", "align-persian", *form("llama_persian:no_lora", shown="instruct", kept=instruct[1]))
    assert (again[1], again[3], again[4]) == ("", 77, "steps")
    assert page.ask("budget_unit", "tokens", "llama_persian", "align-persian") == 200_000_000
    assert page.ask("budget_unit", "epochs", "llama_persian", "align-persian") == 1
    assert page.ask("train_vocabulary", "+new")["visible"]
    run, words, data = page.ask("runs", None, "recommended", "starter:smollm2-135m", "+new", ["mine"])
    assert "value" not in words
    assert "value" not in data
    assert ["mine", "mine"] in data["choices"]


def test_a_run_of_the_past_is_found_named_copied_and_deleted(page: Page) -> None:
    studio = open_studio(Settings(page.live.workspace))
    first, second = f"past-{page.locale}-1", f"past-{page.locale}-2"
    for place, run in enumerate((first, second)):
        folder = make_run(studio, run, created=1_800_000_000.0 + place, checkpoints={0: (20, 40)})
        measure(studio, run, -1, 0, 2.0, 1.5)
        measure(studio, run, 0, 40, 1.5, 1.53)
    at, table, offered, compared = page.ask("history_find", f"past-{page.locale}", 0, None, [])
    assert (at, table) == (0, f"0:past-{page.locale}")
    assert [value for _, value in offered["choices"]] == [second, first]
    assert offered["value"] == second, "the newest opens itself"
    assert "value" not in compared
    shown = page.ask("history", table, "")["html"]
    assert shown.index(second) < shown.index(first)
    title = f"<img src=x onerror=alert(1)> {page.locale}"
    assert page.ask("history_save", first, title, "یادداشت") == (title, "یادداشت")
    assert page.ask("history_open", first) == (first, title, "یادداشت", "")
    for html in (page.ask("history", table, "")["html"], page.ask("past_run", first, "")["html"]):
        assert "<img" not in html
        assert "&lt;img src=x" in html
    assert page.ask("history_compare", [first]) == []
    assert page.ask("history_compare", [first, second]) == [
        {"run": first, "title": title}, {"run": second, "title": second}
    ]  # fmt: skip
    filled = page.ask("history_clone", first)
    assert filled[0]["value"].endswith(f"/{first}.yaml")
    again = page.ask("recipe", filled[0]["value"])
    assert filled[1] == again[0] == "starter:smollm2-135m"
    assert say(page.locale, "train.copied", run=f"\u2068{first}\u2069") in filled[-1]
    assert say(page.locale, "history.spare.checkpoint") in page.ask("history_free", first)
    assert len(list(studio.settings.runs.glob(f"{first}/stages/*/checkpoints/*"))) == 2
    page.ask("history_free_sure", first)
    assert list(studio.settings.runs.glob(f"{first}/stages/*/checkpoints/*")) == []
    assert page.ask("history_free", first) == "", "nothing is left to be asked about"
    question = page.ask("history_delete", first)
    assert "&lt;img src=x" in question
    assert "<img" not in question
    assert folder.exists()
    page.ask("history_delete_sure", first)
    assert not (studio.settings.runs / first).exists()
    assert page.refusal("history_delete_sure", first) == page.sentence("run.unknown", run=first)
    after = page.ask("history_runs", "", 0, first, [first, second])
    assert first not in [value for _, value in after[2]["choices"]]
    assert after[3]["value"] == [second], "what was deleted is compared no more"
    studio.shares.put("report", [second])
    names = page.sentence("run.used_by_share", run=second, names=second)
    assert page.refusal("history_delete", second) == names
    studio.shares.put("report", [])
    page.ask("history_delete_sure", second)


def test_the_history_is_downloaded_as_a_table(api_live: LiveStudio) -> None:
    studio = open_studio(Settings(api_live.workspace))
    make_run(studio, "table-1")
    table = api_live.get("/runs.csv").decode("utf-8-sig")
    assert table.splitlines()[0].startswith("run,title,note,state,created")
    assert "table-1" in table
    history.delete(studio, "table-1")


def test_a_chat_is_streamed(page: Page, tiny_model: Path) -> None:
    reference = f"local:{tiny_model}"
    job = page.client.submit(*question([reference], "سلام", max_tokens=6), api_name="/chat")
    history, _, _, _, foot, *_ = job.result(timeout=120)
    assert [turn["role"] for turn in history] == ["user", "assistant"], history
    unit = sentences(page.locale)["chat.speed"].rsplit("}", 1)[-1]
    assert unit.strip()
    assert unit in foot
    assert len(job.outputs()) >= 2, "the answer came at once"
    assert say(page.locale, "chat.not_loaded") not in page.ask("chat_memory", "", "")["html"]
    longer, *_ = page.ask("chat", *question([reference], "باز هم", [history], max_tokens=6))
    assert [turn["role"] for turn in longer] == ["user", "assistant"] * 2
    page.ask("chat_unload")
    assert say(page.locale, "chat.not_loaded") in page.ask("chat_memory", "", "")["html"]
