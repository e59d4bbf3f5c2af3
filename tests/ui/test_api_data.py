"""Every handler of the data tab through `gradio_client`, in both languages."""

from __future__ import annotations

from pathlib import Path

from gradio_client import handle_file

from studio.i18n import bytes_text, say
from studio.services import jobs
from studio.services.studio import open_studio
from studio.settings import Settings
from tests.ui.api import Page

TEXT = "text\nسارا به باغ رفت\nکتاب خوب است\n"


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
