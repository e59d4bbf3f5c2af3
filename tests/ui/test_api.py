"""Every handler of the pages has a name and works through `gradio_client`, in both languages."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from studio.errors import StudioError
from studio.i18n import LOCALES, bytes_text, explain, number, say, sentences
from studio.services import expansion, history, jobs
from studio.services.studio import open_studio
from studio.settings import ROOT, Settings
from studio.tokenizer.proof import untouched
from studio.ui.train_draft import Draft
from studio.ui.uploaded import uploaded
from tests.live import LiveStudio
from tests.past import make_run, measure

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
    "merges",
    "all_jobs",
    "job",
    "past_jobs",
    "ended",
    "vocabulary_base",
    "learning",
    "starts",
    "history",
    "past_run",
)
TEXT = "text\nسارا به باغ رفت\nکتاب خوب است\n"
EVENTS = ("click", "change", "input", "submit", "tick", "upload", "select", "blur", "then", "success")
CLOCKS = {"data_names", "mix_choices", "vocabulary_choices", "runs", "chat_choices", "merge_choices", "shareable",
          "history_runs", "job_choices"}  # fmt: skip
ON_OPENING = {"shared", "expected_time", "device", "token", "workspace", "estimate_open"}
FOLLOWING = {"data_preset", "vocabulary_base_of", "vocabulary_name", "vocabulary_keep", "starts_of"}
AT_ONCE = {"vocabulary_size", "mix_shares", "show_run", "chat_stop", "chat_clear", "disk_use", "history_find",
           "history_newer", "history_older", "history_cancel", "job_show", "jobs_page"}  # fmt: skip
ROUND_THE_QUEUE = CLOCKS | ON_OPENING | FOLLOWING | AT_ONCE


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveStudio]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # nobody listens there: no test asks the real Hub
        studio = LiveStudio(tmp_path_factory.mktemp("live") / "workspace").start()
        yield studio
        studio.close()


@pytest.fixture(scope="module", params=LOCALES)
def page(request: pytest.FixtureRequest, live: LiveStudio) -> Page:
    return Page(live, request.param)


class Page:
    """The pages of one language through `gradio_client`."""

    def __init__(self, live: LiveStudio, locale: str) -> None:
        self.live, self.locale = live, locale
        self.client = Client(f"{live.address}/{locale}/", verbose=False)

    def ask(self, name: str, *values: Any) -> Any:
        return self.client.predict(*values, api_name=f"/{name}")

    def refusal(self, name: str, *values: Any) -> str:
        with pytest.raises(AppError) as caught:
            self.ask(name, *values)
        return str(caught.value)

    def sentence(self, code: str, **details: Any) -> str:
        return explain(self.locale, StudioError(code, **details))


def form(recipe: str = "first_steps", **values: Any) -> list[Any]:
    """The values of the training form in the order of its fields; what is not given is as the recipe says."""
    return list(asdict(Draft(recipe, **values)).values())


def handlers(live: LiveStudio, locale: str) -> list[str]:
    """The names of everything on a page that calls Python."""
    config = json.loads(live.get(f"/{locale}/config"))
    return [dependency["api_name"] for dependency in config["dependencies"] if dependency["backend_fn"]]


def test_every_handler_has_a_name_of_its_own(live: LiveStudio) -> None:
    english, persian = handlers(live, "en"), handlers(live, "fa")
    assert english == persian
    assert len(english) > 40
    # Without a name Gradio makes one of the function's, numbered when that is taken: answer, lambda_1, run_2.
    nameless = [name for name in english if not name or "lambda" in name or name.rsplit("_", 1)[-1].isdigit()]
    assert nameless == []
    assert len(set(english)) == len(english)


def test_what_a_person_starts_is_queued(live: LiveStudio) -> None:
    """Gradio's page shows neither errors nor notes of an event that goes round the queue."""
    config = json.loads(live.get("/en/config"))
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


def test_a_file_is_looked_at_imported_shown_and_deleted(page: Page, tmp_path: Path, tiny_model: Path) -> None:
    file = tmp_path / "باغ.csv"
    file.write_text(TEXT, encoding="utf8")
    name = f"garden-{page.locale}"
    looked = page.ask("data_look", [handle_file(str(file))], "")
    assert "سارا به باغ رفت" in looked[0]
    assert (looked[1]["value"], looked[2]["value"], looked[6]) == ("text", "text", "باغ")
    columns = ("text", None, None, None)
    assert page.ask("data_import", [handle_file(str(file))], name, "", "CC0-1.0", "text", *columns) == name
    studio = open_studio(Settings(page.live.workspace))
    assert jobs.wait(studio, jobs.listing(studio)[0].id).state == "done"
    # The list of datasets was made when the app started: what came later is shown and deleted all the same.
    shown, lengths = page.ask("data_show", name, f"local:{tiny_model}")
    assert "کتاب خوب است" in shown
    assert say(page.locale, "data.title") not in shown
    assert lengths["visible"]
    chosen, *_ = page.ask("data_names", name, "")
    assert [name, name] in chosen["choices"]
    assert "value" not in chosen, "told back what it holds, the field would lose what is chosen meanwhile"
    measured = page.ask("fertility", f"local:{tiny_model}", "کتاب خوب است.", [name])
    assert say(page.locale, "vocabulary.pieces") in measured
    assert name in measured
    wrong = page.refusal("data_import", [handle_file(str(file))], f"{name}-2", "", "", "text", "body", *columns[1:])
    assert wrong == page.sentence("data.no_such_column", column="body", columns="text")
    page.ask("data_delete", name)
    assert page.refusal("data_delete", name) == page.sentence("data.no_such_dataset", name=name)


def test_a_dataset_is_measured_cleaned_looked_into_and_cleaned_anew(
    page: Page, tmp_path: Path, tiny_model: Path
) -> None:
    good = "باران تند ديشب راه روستا را بست و كسي نتوانست به شهر برود."
    file, name = tmp_path / "news.txt", f"news-{page.locale}"
    file.write_text(f"{good}\n{good}\nThe garden is green and wide today.\nکوتاه بود\n", encoding="utf8")
    page.ask("data_import", [handle_file(str(file))], name, "", "CC0-1.0", "text", "text", None, None, None)
    studio = open_studio(Settings(page.live.workspace))
    jobs.wait(studio, jobs.listing(studio)[0].id)
    assert say(page.locale, "health.none") in page.ask("health", name, "")["html"]
    suite = tmp_path / "suite.txt"
    suite.write_text("باران تند دیشب راه روستا را بست و کسی نتوانست\n", encoding="utf8")
    page.ask("data_report", name, f"local:{tiny_model}", [handle_file(str(suite))])
    jobs.wait(studio, jobs.listing(studio)[0].id)
    card = page.ask("health", name, "")["html"]
    assert say(page.locale, "health.contaminated_value", rows=2, files="suite.txt") in card
    assert say(page.locale, "languages.fa") in card
    assert say(page.locale, "health.tokens") in card
    assert say(page.locale, "health.advice_clean", reasons="").rstrip(".").strip() in card
    about, rules, thresholds = page.ask("data_preset", "documents")
    assert say(page.locale, "clean.preset_info.documents") in about
    assert ("line_ends" in rules["value"], "few_words=50" in thresholds) == (True, True)
    on = ["empty", "duplicates", "near_duplicates", "few_words", "boilerplate", "code", "language", "seen"]
    made, _ = page.ask("data_clean", name, [], "llama_persian", on, "few_words=4", True)
    assert made == f"{name}-clean"
    assert jobs.wait(studio, jobs.listing(studio)[0].id).state == "done"
    assert page.ask("data_names", name, made)[0]["value"] == made, "what was made opens itself"
    opened = page.ask("data_open", made)
    ledger, plot, kept, reasons, changes = opened[7], opened[8], opened[9], opened[10], opened[12]
    assert say(page.locale, "clean.rules.duplicates") in ledger
    assert plot["value"]["series"][0]["y"][0] == say(page.locale, "clean.out")
    assert set(kept["value"]) == set(on)
    assert [value for _, value in reasons["choices"]] == [
        "", "normalise", "duplicates", "few_words", "language", "nothing_left"
    ]  # fmt: skip
    assert "<del" in changes
    _, shown = page.ask("data_changes", made, "language")
    assert "The garden is green" in shown
    assert say(page.locale, "clean.changes_count", first=1, last=1, total=1) in shown
    assert page.ask("data_changes_next", made, "language", 0)[0] == 0, "there is no second page"
    again = page.ask("data_clean_again", made, [rule for rule in kept["value"] if rule != "language"])
    done = jobs.wait(studio, jobs.listing(studio)[0].id)
    assert (again, done.result["rows_out"], done.result["judged_again"]) == (f"{name}-clean-2", 2, False)
    same = page.refusal("data_clean_again", made, kept["value"])
    assert same == page.sentence("clean.nothing_changed")
    read = page.ask("data_trained", made, f"local:{tiny_model}", 1)
    assert "<mark>" in read


def test_a_forged_call_names_no_file_outside_the_uploads(live: LiveStudio, tmp_path: Path) -> None:
    """Gradio checks paths only in events that unpack their values; ours check themselves."""
    studio = open_studio(Settings(live.workspace))
    ours = studio.settings.uploads / "suite.txt"
    ours.parent.mkdir(parents=True, exist_ok=True)
    ours.touch()
    assert uploaded(studio, [{"path": str(ours)}]) == [ours]
    for path in (tmp_path / "other.txt", studio.settings.uploads / ".." / "studio.db"):
        with pytest.raises(StudioError) as caught:
            uploaded(studio, [{"path": str(path)}])
        assert caught.value.code == "data.no_such_file"


def test_a_dataset_of_the_catalogue_fills_in_the_boxes_and_shows_its_warnings(page: Page) -> None:
    chosen, repo, config, split, rows, name = page.ask("catalogue_choose", "opus-100-en-fa")
    assert (chosen, repo, config, split, rows, name) == (
        "opus-100-en-fa", "Helsinki-NLP/opus-100", "en-fa", "train", 10_000, "opus-100-en-fa",
    )  # fmt: skip
    card = page.ask("catalogue", chosen, "")["html"]
    for key in ("catalogue.warning.no_licence", "catalogue.unverified", "licence.trait.unknown"):
        assert say(page.locale, key) in card
    assert say(page.locale, "catalogue.warning.benchmark_only") not in card
    loud = page.ask("catalogue", "belebele", "")["html"]
    assert 'class="banner bad"' in loud
    assert say(page.locale, "catalogue.warning.benchmark_only") in loud
    share = page.ask("catalogue", "fineweb2-fa", "")["html"]
    assert say(page.locale, "catalogue.reads_of", rows=10_000, total=58_843_652, percent=0.02) in share
    assert bytes_text(page.locale, 95_330_000_000 * 10_000 / 58_843_652) in share
    absent = page.ask("catalogue_choose", "mizan")
    assert absent[1:] == ("", "", "train", 10_000, "")
    assert say(page.locale, "catalogue.bring") in page.ask("catalogue", "mizan", "")["html"]


def test_without_a_network_the_catalogue_says_so_and_the_rest_works(page: Page) -> None:
    page.ask("catalogue_check", "naab")
    studio = open_studio(Settings(page.live.workspace))
    job = jobs.listing(studio)[0]
    assert (job.kind, job.arguments) == ("catalogue", {"repos": ["SLPL/naab"]})
    assert jobs.wait(studio, job.id).state == "done"
    card = page.ask("catalogue", "naab", "")["html"]
    assert say(page.locale, "catalogue.state.unreachable") in card
    assert say(page.locale, "catalogue.warning.conflicting_licence") in card
    assert say(page.locale, "catalogue.state.never") in page.ask("catalogue", "belebele", "")["html"]


def test_a_vocabulary_is_learned_seen_at_every_size_taken_and_deleted(page: Page, tiny_model: Path) -> None:
    model, name, sentence = f"local:{tiny_model}", f"words-{page.locale}", "کتاب‌ها را می‌خوانم."
    coming, _ = page.ask("vocabulary_learn", model, ["sample-stories"], name, 400, "arabic")
    assert coming == name
    studio = open_studio(Settings(page.live.workspace))
    assert jobs.wait(studio, jobs.listing(studio)[0].id).state == "done"
    assert name in page.ask("learning", "", "")["html"]
    chosen = page.ask("vocabulary_choices", model, None, coming)
    assert (chosen[2]["value"], chosen[3]) == (name, ""), "what was learned is chosen by itself"
    advice, slider, figures, curve, chips, behind, english, tokens = page.ask("vocabulary_show", name, sentence, "")
    assert say(page.locale, "vocabulary.advice.nothing_frequent", enough=500) in advice
    assert slider["maximum"] == 400
    assert say(page.locale, "vocabulary.saving") in figures
    assert [mark["x"] for mark in curve["value"]["marks"]][1] == slider["value"]
    assert 'class="marked"' in chips
    assert "local:" in behind
    assert say(page.locale, "vocabulary.english_title") in english
    assert tokens.count("<tr>") > 200
    smaller = page.ask("vocabulary_size", name, 20, sentence, "")
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


def test_two_files_that_translate_each_other_become_pairs(page: Page, tmp_path: Path) -> None:
    persian, english, name = tmp_path / "a.txt", tmp_path / "b.txt", f"both-{page.locale}"
    persian.write_text("باران می‌بارد.\nهوا سرد است.\n", encoding="utf8")
    english.write_text("It is raining.\nThe weather is cold.\n", encoding="utf8")
    files = [handle_file(str(english)), handle_file(str(persian))]
    looked = page.ask("data_look", files, "")
    assert looked[1]["value"] == "aligned"
    assert "هوا سرد است" in looked[0]
    apart = page.ask("data_form", files, "", "text")
    assert "هوا سرد است" not in apart[0], "as plain texts only the first file is shown"
    page.ask("data_import", files, name, "", "", "aligned", None, None, None, None)
    studio = open_studio(Settings(page.live.workspace))
    done = jobs.wait(studio, jobs.listing(studio)[0].id)
    assert (done.result["kind"], done.result["rows"]) == ("pair", 2)


def test_windows_1256_is_offered_and_filled_in(page: Page, tmp_path: Path) -> None:
    file = tmp_path / "old.txt"
    file.write_bytes("سلام دنيا، کتاب خوب است و هوا ابري است.\n".encode("windows-1256") * 20)
    looked = page.ask("data_look", [handle_file(str(file))], "")
    assert "سلام دنيا" in looked[0]
    assert looked[7] == "windows-1256"
    refused = page.refusal("data_import", [handle_file(str(file))], "old", "", "", "text", "text", None, None, None)
    assert "windows-1256" in refused
    assert "سلام دنيا" in refused


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
        page.sentence("vocabulary.unknown", name=bad): ("vocabulary_show", (bad, "", "")),
        page.sentence("vocabulary.unknown", name="../x"): ("vocabulary_delete", ("../x",)),
        page.sentence("vocabulary.unknown", name=""): ("vocabulary_use", (None, 3)),
        page.sentence("vocabulary.nothing_to_compare"): ("vocabulary_compare", ([],)),
        page.sentence("run.unknown", run=bad): ("stop", (bad,)),
        page.sentence("run.unknown", run=""): ("resume", (None,)),
        page.sentence("publish.no_run"): ("merge", (None, "")),
        page.sentence("chat.no_model"): ("chat", ("", "", [], [], "سلام", "", 0.7, 0.9, 8, 1)),
        page.sentence("chat.bad_knob", key="top_p", fault="less_than_equal", bound=1.0): (
            "chat", ("starter:smollm2-135m", "", [], [], "سلام", "", 0.7, 7, 8, 1),
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


def test_the_history_is_downloaded_as_a_table(live: LiveStudio) -> None:
    studio = open_studio(Settings(live.workspace))
    make_run(studio, "table-1")
    table = live.get("/runs.csv").decode("utf-8-sig")
    assert table.splitlines()[0].startswith("run,title,note,state,created")
    assert "table-1" in table
    history.delete(studio, "table-1")


def test_the_token_is_kept_and_forgotten_but_never_told(page: Page) -> None:
    secret = "hf_" + "x" * 30
    told, field = page.ask("token_set", secret)
    assert (say(page.locale, "settings.token_kept") in told, field) == (True, "")
    assert secret not in str(page.ask("token"))
    assert say(page.locale, "settings.token_absent") in page.ask("token_forget")


def test_live_panels_answer_once_and_then_only_what_is_new(page: Page) -> None:
    for name in PANELS:
        first = page.ask(name, "", "")
        assert set(first) == {"token", "unchanged", "html"}, name
        again = page.ask(name, "", first["token"])
        assert again == {"token": first["token"], "unchanged": True}, name
    assert page.refusal("board", "none-1", "") == page.sentence("run.unknown", run="none-1")
    assert say(page.locale, "train.empty_title") in page.ask("board", "", "")["html"]
    assert say(page.locale, "models.merged_empty") in page.ask("merges", "", "")["html"]
    curves = page.ask("curves", "none-1", None)
    assert (curves["series"], curves["stages"]) == ({}, [])
    for name, word in {"device": "start.device", "workspace": "settings.workspace"}.items():
        assert say(page.locale, word) in page.ask(name)


def test_a_chat_is_streamed(page: Page, tiny_model: Path) -> None:
    reference = f"local:{tiny_model}"
    job = page.client.submit(reference, "", [], [], "سلام", "", 0, 1, 6, 1, api_name="/chat")
    history, _, foot, *_ = job.result(timeout=120)
    assert [turn["role"] for turn in history] == ["user", "assistant"], history
    unit = sentences(page.locale)["chat.speed"].rsplit("}", 1)[-1]
    assert unit.strip()
    assert unit in foot
    assert len(job.outputs()) >= 2, "the answer came at once"
    assert say(page.locale, "chat.not_loaded") not in page.ask("chat_memory", "", "")["html"]
    longer, *_ = page.ask("chat", reference, "", history, [], "باز هم", "", 0, 1, 6, 1)
    assert [turn["role"] for turn in longer] == ["user", "assistant"] * 2
    page.ask("chat_unload")
    assert say(page.locale, "chat.not_loaded") in page.ask("chat_memory", "", "")["html"]
