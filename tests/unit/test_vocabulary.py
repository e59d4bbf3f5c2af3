"""The vocabularies of a workspace: learned as a job, listed, cut, deleted; and what the tab tells of them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import get_args

import pytest

from studio.commands.vocabulary import Keep
from studio.data import starters, stored
from studio.errors import StudioError
from studio.i18n import LOCALES, say
from studio.jobs.store import Job, NewJob
from studio.services import datasets, expansion, jobs, vocabulary
from studio.services.studio import Studio, open_studio
from studio.settings import Settings
from studio.tokenizer.corpus import Part
from studio.tokenizer.expand import Watch
from studio.tokenizer.export import extend
from studio.tokenizer.making import make
from studio.tokenizer.report import load
from studio.tokenizer.starts import METHODS
from studio.tokenizer.vocabulary import base_of, read_vocabulary
from tests.live import command
from tests.unit.tokenizer.families import build

STORIES = [line for pair in starters.story_pairs() for line in pair.fa.splitlines()]
SENTENCE = "کتاب‌های کتابخانه را می‌خوانم."


@pytest.fixture
def studio(tmp_path: Path) -> Studio:
    return open_studio(Settings(tmp_path / "workspace"))


@pytest.fixture
def learned(studio: Studio, tmp_path: Path) -> str:
    """The name of a vocabulary of 300 pieces in the workspace."""
    text = tmp_path / "stories.txt"
    text.write_text("\n".join(STORIES), encoding="utf8")
    quiet = Watch(lambda share, note: None, lambda: False)
    model = build("llama2", tmp_path / "model")
    make(model, [Part(text, False)], 300, studio.settings.vocabularies / "stories", reference=f"local:{model}",
         english=[], watch=quiet, workers=1)  # fmt: skip
    return "stories"


def keep(studio: Studio, name: str, lines: list[str]) -> None:
    path = studio.settings.workspace / f"{name}.txt"
    path.write_text("\n".join(lines), encoding="utf8")
    stored.import_files([path], studio.settings.datasets, name, source="test", progress=lambda share, note: None,
                        stopping=lambda: False)  # fmt: skip


def code(caught: pytest.ExceptionInfo[StudioError]) -> str:
    return caught.value.code


def test_a_text_with_too_little_gives_what_it_has(studio: Studio, tiny_model: Path) -> None:
    """The studio's own texts are imported first; 20,000 pieces are not in them, and nothing fails."""
    job = vocabulary.learn_here(studio, f"local:{tiny_model}", ["sample-stories"], 20_000, "")
    ended = jobs.wait(studio, job.id)
    assert ended.state == "done", ended.error
    assert datasets.exists(studio, "sample-stories")
    assert ended.result is not None
    assert 100 < ended.result["added"] < 20_000
    [(name, found)] = vocabulary.listing(studio)
    assert (name, found.added) == (job.title, ended.result["added"])
    assert vocabulary.free_name(studio, f"local:{tiny_model}") == f"{name}-2"
    strict = vocabulary.start_learn(
        studio, f"local:{tiny_model}", ["sample-stories"], 20_000, studio.settings.vocabularies / "strict"
    )
    refused = jobs.wait(studio, strict.id)
    assert refused.error is not None
    assert (refused.error["code"], refused.error["details"]["available"]) == ("vocabulary.too_large", found.added)


def test_ten_lines_and_a_text_without_the_script(studio: Studio, tiny_model: Path) -> None:
    keep(studio, "ten", STORIES[:3] + ["یک خط", "دو خط"])
    keep(studio, "english", ["Nothing here is written in the other script."] * 20)
    keep(studio, "once", ["ژ"])
    ended: dict[str, Job] = {}
    for name in ("ten", "english", "once"):
        ended[name] = jobs.wait(studio, vocabulary.learn_here(studio, f"local:{tiny_model}", [name], 5000, name).id)
    assert ended["ten"].state == "done"
    assert [(ended[name].error or {})["code"] for name in ("english", "once")] == [
        "vocabulary.no_target", "vocabulary.nothing_new",
    ]  # fmt: skip
    assert [name for name, _ in vocabulary.listing(studio)] == ["ten"]
    assert expansion.view(studio, "ten").advice.verdict == "small_text"  # type: ignore[union-attr]


def test_what_can_be_told_at_once_queues_nothing(studio: Studio, learned: str, tmp_path: Path) -> None:
    keep(studio, "text", STORIES[:5])
    unigram = tmp_path / "unigram"
    unigram.mkdir()
    (unigram / "tokenizer.json").write_text(json.dumps({"model": {"type": "Unigram", "vocab": [["a", 0.0]]}}))
    model = f"local:{tmp_path / 'model'}"
    asked = {
        "vocabulary.no_corpus": (model, [], 100, ""),
        "vocabulary.name_taken": (model, ["text"], 100, learned),
        "vocabulary.bad_name": (model, ["text"], 100, "../out"),
        "vocabulary.bad_size": (model, ["text"], 0, ""),
        "vocabulary.unigram": (f"local:{unigram}", ["text"], 100, ""),
        "model.not_fetched": ("starter:smollm2-135m", ["text"], 100, ""),
        "data.no_such_dataset": (model, ["none"], 100, ""),
    }
    for expected, (base, corpus, size, name) in asked.items():
        with pytest.raises(StudioError) as caught:
            vocabulary.learn_here(studio, base, corpus, size, name)
        assert code(caught) == expected
    assert studio.jobs.listing() == []
    refused = expansion.refusal(studio, f"local:{unigram}")
    assert refused is not None
    assert refused.code == "vocabulary.unigram"
    assert expansion.refusal(studio, model) is None


def test_a_size_is_taken_once_and_shown_whole(studio: Studio, learned: str) -> None:
    assert vocabulary.keep_size(studio, learned, 120) == "stories-120"
    assert vocabulary.keep_size(studio, learned, 120) == "stories-120"
    assert vocabulary.keep_size(studio, learned, 300) == learned
    assert {name for name, _ in vocabulary.listing(studio)} == {"stories", "stories-120"}
    smaller = expansion.view(studio, "stories-120")
    assert (smaller.figures.size, smaller.advice) == (120, None)
    assert vocabulary.keep_size(studio, "stories-120", 50) == "stories-120-50"
    with pytest.raises(StudioError) as caught:
        vocabulary.keep_size(studio, learned, 0)
    assert code(caught) == "vocabulary.empty_size"
    (studio.settings.vocabularies / "stories-60").mkdir()
    with pytest.raises(StudioError) as caught:
        vocabulary.keep_size(studio, learned, 60)
    assert code(caught) == "vocabulary.name_taken"


def test_a_vocabulary_that_a_job_reads_is_not_deleted(studio: Studio, learned: str) -> None:
    folder = studio.settings.vocabularies / learned
    job = studio.jobs.add(NewJob("rows", learned, {"vocabulary": str(folder)}))
    with pytest.raises(StudioError) as caught:
        vocabulary.delete(studio, learned)
    assert code(caught) == "vocabulary.in_use"
    studio.jobs.finish(job, "stopped")
    vocabulary.delete(studio, learned)
    assert list(studio.settings.vocabularies.iterdir()) == []
    for name in (learned, "", "..", "../vocabularies"):
        with pytest.raises(StudioError) as caught:
            vocabulary.folder_of(studio, name)
        assert code(caught) == "vocabulary.unknown"


def test_the_figures_of_a_size_are_those_of_its_own_tokenizer(studio: Studio, learned: str) -> None:
    folder = studio.settings.vocabularies / learned
    found = read_vocabulary(folder)
    base = base_of(folder, found)
    for size in (0, 77, 300):
        view = expansion.view(studio, learned, size)
        real = load(extend(base.definition, found.extension.first(size)))
        persian, english = (
            sum(len(each.ids) for each in real.encode_batch(lines, add_special_tokens=False))
            for lines in (STORIES, [line for pair in starters.story_pairs() for line in pair.en.splitlines()])
        )
        assert view.parity == persian / english
        pieces = expansion.sentence_pieces(studio, learned, SENTENCE, size)
        assert [piece.id for piece, _ in pieces] == real.encode(SENTENCE, add_special_tokens=False).ids
    assert expansion.view(studio, learned, 9999).figures.size == 300
    assert expansion.view(studio, learned).figures.stored_bytes is None, "nothing but tokenizer files: no width known"


def test_figures_follow_a_vocabulary_that_is_learned_anew(studio: Studio, learned: str, tmp_path: Path) -> None:
    assert expansion.view(studio, learned).vocabulary.added == 300
    vocabulary.keep_size(studio, learned, 40)
    vocabulary.delete(studio, learned)
    shutil.move(studio.settings.vocabularies / "stories-40", studio.settings.vocabularies / learned)
    assert expansion.view(studio, learned).vocabulary.added == 40


def test_new_tokens_are_searched_in_order(studio: Studio, learned: str) -> None:
    everything, count = expansion.tokens(studio, learned, 300)
    assert (len(everything), count) == (expansion.SHOWN, 300)
    found, count = expansion.tokens(studio, learned, 300, "مي")  # the Arabic letter finds the Persian one
    assert count == len(found) > 0
    assert all("می" in token.text for token in found)
    assert [token.order for token in found] == sorted(token.order for token in found)
    assert expansion.tokens(studio, learned, 10)[1] == 10
    known = read_vocabulary(studio.settings.vocabularies / learned)
    assert [token.count for token in everything] == known.counts[: expansion.SHOWN]


def test_english_is_really_measured(studio: Studio, learned: str) -> None:
    assert not expansion.known_english(studio, learned, 250)
    changed, checked = expansion.english(studio, learned, 250)
    assert changed == 0
    assert checked > 100
    assert expansion.known_english(studio, learned, 250)
    # A piece smuggled in that English has too must be found.
    path = studio.settings.vocabularies / learned / "vocabulary.json"
    content = json.loads(path.read_text(encoding="utf8"))
    base = load(base_of(path.parent, read_vocabulary(path.parent)).definition)
    tokens = base.encode(starters.story_pairs()[0].en, add_special_tokens=False).tokens
    pairs = zip(tokens, tokens[1:], strict=False)
    content["merges"][-1] = next(pair for pair in pairs if base.token_to_id("".join(pair)) is None)
    path.write_text(json.dumps(content), encoding="utf8")
    assert expansion.english(studio, learned, 300)[0] > 0


def test_arabic_letters_are_told_when_they_matter(studio: Studio, learned: str, tmp_path: Path) -> None:
    keep(studio, "clean", STORIES)
    keep(studio, "mixed", [line.translate(str.maketrans("یک", "يك")) for line in STORIES[:15]] + STORIES[15:])
    model = f"local:{tmp_path / 'model'}"
    assert expansion.arabic_letters(studio, model, ["clean"]) is None
    assert expansion.arabic_letters(studio, model, ["sample-chats"]) is None, "not imported yet"
    found = expansion.arabic_letters(studio, model, ["mixed"])
    assert found is not None
    assert 0.2 < found.share < 0.8
    assert found.after < found.before, "measured with the vocabulary learned for this model"
    assert found.saving == 1 - found.after / found.before


def test_bases_are_compared_on_the_same_stories(studio: Studio, tiny_model: Path, tmp_path: Path) -> None:
    other = build("llama2", tmp_path / "other")
    found = expansion.compare(studio, [f"local:{other}", f"local:{tiny_model}", f"local:{other}"])
    assert len(found) == 2
    costs = [each.cost.persian.tokens_per_word for each in found]
    assert costs == sorted(costs)
    assert {each.vocabulary for each in found} > {512}
    with pytest.raises(StudioError) as caught:
        expansion.compare(studio, [])
    assert code(caught) == "vocabulary.nothing_to_compare"


def test_the_verbs_list_and_start(studio: Studio, learned: str) -> None:
    assert command(studio.settings.workspace, "vocabulary", "list")["vocabularies"] == [
        {
            "name": learned,
            "base": expansion.view(studio, learned).vocabulary.base,
            "method": "continued",
            "added": 300,
            "total_vocabulary": read_vocabulary(studio.settings.vocabularies / learned).base_vocabulary + 300,
        }
    ]
    folder = str(studio.settings.vocabularies / learned)
    refused = command(studio.settings.workspace, "vocabulary", "start", folder, status=1)
    assert refused["error"] == "model.no_weights", "nothing but tokenizer files: there is no model to measure"
    nothing = command(studio.settings.workspace, "vocabulary", "start", str(studio.settings.datasets), status=1)
    assert nothing["error"] == "vocabulary.not_a_vocabulary"


def test_every_start_can_be_kept_and_has_words() -> None:
    assert get_args(Keep) == ("best", *METHODS)
    for locale in LOCALES:
        assert len({say(locale, f"starts.method.{method}") for method in METHODS}) == len(METHODS)
