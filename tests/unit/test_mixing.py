"""What a user can do about mixing: choose whose tokens count, see what comes of it, get English by default."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from studio.data.incoming import incoming
from studio.data.manifest import Cleaned
from studio.data.mapping import make_mapping
from studio.data.mixing.order import Cap, Source
from studio.data.sample import Chat, Message, Pair, Sample, Text
from studio.errors import StudioError
from studio.i18n import LOCALES
from studio.jobs.events import MetricRow
from studio.recipes import dump_recipe, parse_recipe
from studio.services import jobs, mixing
from studio.services.mixing import Tokenizer
from studio.services.studio import Studio, open_studio
from studio.settings import Settings
from studio.tokenizer.vocabulary import FILE
from tests.tiny import SENTENCES

CLEANED = Cleaned(parent="web", parent_sha256="", preset="documents", off=[], values={}, normalised=True, against=[])


def store(studio: Studio, name: str, samples: list[Sample], cleaned: Cleaned | None = None) -> None:
    with incoming(studio.settings.datasets, name) as writer:
        for sample in samples:
            writer.add(sample)
        writer.commit(mapping=make_mapping("text", text="text"), source="test", licence=None, encoding=None,
                      files=[], cleaned=cleaned)  # fmt: skip


def persian(rows: int) -> list[Sample]:
    return [Text(f"{SENTENCES[row % 8]} شماره {row}") for row in range(rows)]


def english(rows: int) -> list[Sample]:
    return [Text(f"{SENTENCES[8 + row % 4]} Number {row}") for row in range(rows)]


def pairs(rows: int) -> list[Sample]:
    return [Pair(f"{SENTENCES[row % 4]} {row}", f"{SENTENCES[8 + row % 4]} {row}") for row in range(rows)]


@pytest.fixture
def studio(tmp_path: Path) -> Studio:
    found = open_studio(Settings(tmp_path / "workspace"))
    store(found, "news", persian(400))
    store(found, "stories", persian(100))
    return found


@pytest.fixture
def tokenizer(studio: Studio, tiny_model: Path) -> Tokenizer:
    return mixing.find_tokenizer(studio, f"local:{tiny_model}")


def warned(found: tuple[Any, list[dict[str, Any]]]) -> list[str]:
    return [each["code"] for each in found[1]]


def test_tokens_are_those_of_a_model_or_a_vocabulary(studio: Studio, tiny_model: Path) -> None:
    found = mixing.find_tokenizer(studio, f"local:{tiny_model}")
    assert (found.folder, found.base, found.vocabulary) == (tiny_model, f"local:{tiny_model}", None)
    assert found.count(["یک", ""])[1] == 0
    for arguments, code in (
        ((None, None), "mix.no_tokenizer"), (("local:/x", "v"), "mix.two_tokenizers"),
        ((None, "../x"), "vocabulary.unknown"), (("nonsense", None), "model.bad_reference"),
    ):  # fmt: skip
        with pytest.raises(StudioError) as caught:
            mixing.find_tokenizer(studio, *arguments)
        assert caught.value.code == code


def test_an_estimate_comes_close_to_what_is_made(studio: Studio, tokenizer: Tokenizer) -> None:
    store(studio, "pairs", pairs(200))
    chosen: list[tuple[str, float | None]] = [("news", 2), ("pairs", 1)]
    order, _ = mixing.make_order(studio, chosen, tokenizer, budget=6000)
    told = mixing.estimate(studio, order, tokenizer)
    job = jobs.wait(studio, mixing.start_mix(studio, order, tokenizer, "mixed").id)
    assert job.state == "done", job.error
    made = job.result
    assert made is not None
    assert made["tokens"] == pytest.approx(told.tokens, rel=0.02)
    for share, part in zip(told.sources, made["sources"], strict=True):
        assert share.share == pytest.approx(part["share"], abs=0.01)
        assert share.passes == pytest.approx(part["passes"], rel=0.1)
    assert [share.ends for share in told.sources] == [False, False]


def test_an_estimate_says_what_will_be_short(studio: Studio, tokenizer: Tokenizer) -> None:
    order, _ = mixing.make_order(studio, [("news", 1), ("stories", 9)], tokenizer, budget=12_000, replay=0)
    told = mixing.estimate(studio, order, tokenizer)
    assert [share.ends for share in told.sources] == [False, True]
    assert told.warnings == []
    order = order.model_copy(update={"budget": 10**9})
    assert [each["code"] for each in mixing.estimate(studio, order, tokenizer).warnings] == ["short"]


def test_hours_are_told_once_a_run_of_the_model_was_measured(studio: Studio, tokenizer: Tokenizer) -> None:
    order, _ = mixing.make_order(studio, [("news", None)], tokenizer, replay=0)
    assert mixing.estimate(studio, order, tokenizer).seconds is None
    for run, base in (("mine-1", tokenizer.base), ("other-1", "starter:smollm2-135m")):
        folder = studio.settings.runs / run
        folder.mkdir()
        stage = {"name": "chat", "kind": "instruct", "data": [{"dataset": "x"}], "budget": {"steps": 1}}
        (folder / "recipe.yaml").write_text(dump_recipe(parse_recipe({"name": run, "base": base, "stages": [stage]})))
        speed = 100.0 if run == "mine-1" else 1.0
        studio.metrics.add(run, MetricRow(0, 1, 0.0, 1.0, None, None, None, 10, 10, speed, 400.0, None))
    told = mixing.estimate(studio, order, tokenizer)
    assert told.seconds == pytest.approx(told.tokens / 100, rel=0.01)


def test_texts_get_a_tenth_of_english_by_default(studio: Studio, tokenizer: Tokenizer) -> None:
    store(studio, "wiki", english(300))
    order, told = mixing.make_order(studio, [("news", 1), ("stories", 1)], tokenizer, budget=3000)
    assert told == [{"code": "replay", "share": 0.1, "names": "wiki"}]
    assert order.sources[-1] == Source(dataset="wiki", replay=True)
    shares = mixing.estimate(studio, order, tokenizer).sources
    assert [share.share for share in shares] == pytest.approx([0.45, 0.45, 0.1])
    more, told = mixing.make_order(studio, [("news", 1)], tokenizer, replay=0.2)
    assert (more.replay, told[0]["share"]) == (0.2, 0.2)
    none, told = mixing.make_order(studio, [("news", 1)], tokenizer, replay=0)
    assert (none.replay, len(none.sources), told) == (0, 1, [])


def test_without_english_in_the_workspace_the_user_is_warned(studio: Studio, tokenizer: Tokenizer) -> None:
    order, told = mixing.make_order(studio, [("news", 1)], tokenizer)
    assert (told, order.replay) == ([{"code": "no_english", "share": 0.1}], 0)


def test_english_that_is_chosen_needs_no_replay(studio: Studio, tokenizer: Tokenizer) -> None:
    store(studio, "wiki", english(300))
    store(studio, "web", english(30))
    assert warned(mixing.make_order(studio, [("news", 1), ("wiki", 1)], tokenizer)) == []
    asked = mixing.make_order(studio, [("news", 1), ("wiki", 1)], tokenizer, replay=0.3)
    assert (warned(asked), asked[0].replay) == (["replay_not_needed"], 0)


def test_pairs_count_half(studio: Studio, tokenizer: Tokenizer) -> None:
    store(studio, "wiki", english(300))
    store(studio, "pairs", pairs(400))
    order, told = mixing.make_order(studio, [("news", 9), ("pairs", 1)], tokenizer)
    assert (order.replay, warned((order, told))) == (pytest.approx(0.05), ["replay"])
    order, told = mixing.make_order(studio, [("news", 3), ("pairs", 1)], tokenizer)
    assert (order.replay, told) == (0, [{"code": "pairs_are_english", "share": 0.125}])


def test_replay_takes_the_cleaned_child_and_never_what_was_mixed_or_held_out(
    studio: Studio, tokenizer: Tokenizer
) -> None:
    store(studio, "web", english(300))
    store(studio, "web-clean", english(200), CLEANED)
    order, _ = mixing.make_order(studio, [("web", None)], tokenizer, held_out=0.4)
    assert [
        mixing.make_order(studio, [("news", None)], tokenizer, held_out=share)[0].replay for share in (0, 0.1)
    ] == [
        0.1,
        0,
    ], "a split is no mix"
    assert jobs.wait(studio, mixing.start_mix(studio, order, tokenizer, "split").id).state == "done"
    found, _ = mixing.make_order(studio, [("news", 1)], tokenizer)
    assert [source.dataset for source in found.sources] == ["news", "web-clean"]


def test_chats_get_no_english_and_texts_do_not_go_with_them(studio: Studio, tokenizer: Tokenizer) -> None:
    store(studio, "chats", [Chat((Message("user", f"پرسش {row}؟"), Message("assistant", "بله"))) for row in range(9)])
    store(studio, "wiki", english(300))
    order, told = mixing.make_order(studio, [("chats", 1)], tokenizer)
    assert (order.kind, order.replay, told) == ("chat", 0, [])
    with pytest.raises(StudioError) as caught:
        mixing.make_order(studio, [("chats", 1), ("news", 1)], tokenizer)
    assert caught.value.code == "mix.texts_with_chats"


def test_caps_are_for_all_or_for_one(studio: Studio, tokenizer: Tokenizer) -> None:
    caps = [(None, Cap(amount=2)), ("news", Cap(amount=9, unit="rows"))]
    order, _ = mixing.make_order(studio, [("news", 1), ("stories", 1)], tokenizer, caps=caps)
    assert [source.cap for source in order.sources] == [Cap(amount=9, unit="rows"), Cap(amount=2)]
    with pytest.raises(StudioError) as caught:
        mixing.make_order(studio, [("news", 1)], tokenizer, caps=[("other", Cap())])
    assert caught.value.code == "mix.cap_of_no_source"


def test_what_is_refused_is_not_queued(studio: Studio, tokenizer: Tokenizer) -> None:
    with pytest.raises(StudioError) as caught:
        mixing.make_order(studio, [("none", None)], tokenizer)
    assert caught.value.code == "data.no_such_dataset"
    order, _ = mixing.make_order(studio, [("news", None)], tokenizer, held_out=0.1)
    store(studio, "split-held-out", persian(2))
    for name, code in (("news", "data.name_taken"), ("split", "data.name_taken"), ("A/B", "data.bad_name")):
        with pytest.raises(StudioError) as caught:
            mixing.start_mix(studio, order, tokenizer, name)
        assert caught.value.code == code
    assert jobs.listing(studio) == []


def test_a_vocabulary_that_a_waiting_mix_counts_with_is_in_use(
    studio: Studio, tokenizer: Tokenizer, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from studio.services import vocabulary

    folder = studio.settings.vocabularies / "words"
    folder.mkdir()
    (folder / FILE).write_text("{}")
    monkeypatch.setattr(studio.queue, "advance", lambda: None)
    order, _ = mixing.make_order(studio, [("news", None)], tokenizer)
    with_words = Tokenizer("words", tokenizer.base, tiny_model, folder)
    mixing.start_mix(studio, order, with_words, "mixed")
    with pytest.raises(StudioError) as caught:
        vocabulary.delete(studio, "words")
    assert caught.value.code == "vocabulary.in_use"


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize(
    ("warning", "details"),
    [
        ("replay", {"share": 0.1, "names": "wiki"}), ("no_english", {"share": 0.1}),
        ("short", {"tokens": 1, "budget": 9}),
        ("replay_not_needed", {"names": "wiki"}), ("pairs_are_english", {"share": 0.125}),
        ("ran_out", {"name": "wiki", "share": 0.02, "wanted": 0.5}),
    ],
)  # fmt: skip
def test_every_warning_has_its_sentence(locale: str, warning: str, details: dict[str, Any]) -> None:
    text = mixing.warning_text(locale, {"code": warning, **details})
    assert "{" not in text
    if details.get("share") == 0.1:
        assert ("۱۰٪" if locale == "fa" else "10%") in text
