"""Datasets mixed: shares, order, caps, kinds, and nothing half-stored."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from studio.data import incoming
from studio.data.mixing import mix as mixes
from studio.data.mixing.order import Cap, Source
from studio.data.sample import Chat, Pair, Sample, Text
from studio.data.stored import delete, read_manifest, read_samples
from studio.errors import StudioError

from .making import chats, count_words, make, order, pairs, shares_of, store, texts, word_of


@pytest.fixture
def target(tmp_path: Path) -> Path:
    store(tmp_path, "news", texts("خبر", 600), "CC-BY-4.0")
    store(tmp_path, "poems", texts("شعر", 300, 20), None)
    return tmp_path


def samples(target: Path, name: str = "mixed") -> list[Sample]:
    return list(read_samples(target / name))


NEWS, POEMS = Source(dataset="news", weight=3), Source(dataset="poems", weight=1)


def test_shares_are_those_of_the_weights_in_tokens(target: Path) -> None:
    told = make(target, order(NEWS, POEMS, budget=4000, tokenizer="words")).figures()
    assert (told["tokens"], told["budget"]) == (4000, 4000)
    news, poems = ([part[key] for key in ("dataset", "rows", "tokens", "share", "passes")] for part in told["sources"])
    assert news == ["news", 300, 3000, 0.75, 0.5]
    assert poems == ["poems", 50, 1000, 0.25, 0.1667]
    assert told["rows"] == 350
    assert told["characters"] == sum(len(each.text) for each in samples(target) if isinstance(each, Text))
    assert shares_of(samples(target)) == pytest.approx({"خبر": 0.75, "شعر": 0.25})
    assert told["warnings"] == []


def test_the_manifest_says_what_it_was_mixed_of(target: Path) -> None:
    asked = order(NEWS, POEMS, budget=4000, tokenizer="words", temperature=2)
    make(target, asked)
    found = read_manifest(target / "mixed")
    assert found.mixed is not None
    assert (found.mixed.order, found.mixed.part, found.mixed.sibling) == (asked, "mix", None)
    assert [part.sha256 for part in found.mixed.sources] == [
        read_manifest(target / n).sha256 for n in ("news", "poems")
    ]
    assert (found.kind, found.licence, found.source) == ("text", "CC-BY-4.0; unknown: poems", "mix:news+poems")
    assert read_manifest(target / "news").mixed is None


def test_sources_are_spread_evenly_over_the_mix(target: Path) -> None:
    make(target, order(NEWS, POEMS, budget=4000))
    found = samples(target)
    for start in range(0, len(found) - 70, 70):
        assert shares_of(found[start : start + 70])["شعر"] == pytest.approx(0.25, abs=0.05)


def test_a_source_that_runs_out_is_spread_over_the_whole_mix_too(target: Path) -> None:
    store(target, "short", texts("کم", 20))
    told = make(target, order(Source(dataset="short", weight=1), Source(dataset="news", weight=1), budget=4000))
    places = [place for place, each in enumerate(samples(target)) if word_of(each) == "کم"]
    assert len(places) == 20
    assert places[-1] > 350, "not all at the beginning"
    assert told.figures()["tokens"] == 4000, "what it lacks comes from the other"
    assert [(each["code"], each.get("name")) for each in told.warnings] == [("ran_out", "short")]


def test_the_seed_decides_everything(target: Path) -> None:
    def made(name: str, seed: int) -> str:
        return make(target, order(NEWS, POEMS, budget=2000, seed=seed, held_out=0.05), name).manifest.sha256

    assert made("one", 1) == made("two", 1)
    assert made("three", 2) != made("one-more", 1)
    for name, seed in (("first", 1), ("second", 2)):
        make(target, order(Source(dataset="news"), seed=seed), name)
    assert samples(target, "first") != samples(target, "second"), "the order is drawn too"


def test_without_weights_and_budget_every_row_is_there_once_in_another_order(target: Path) -> None:
    made = make(target, order(Source(dataset="news"), Source(dataset="poems")))
    stored = [*samples(target, "news"), *samples(target, "poems")]
    assert Counter(samples(target)) == Counter(stored)
    assert samples(target) != stored
    assert made.warnings == [], "to run out is what was asked for"


@pytest.mark.parametrize(
    ("cap", "rows", "times"),
    [
        (Cap(amount=2), 1200, {2}), (Cap(amount=0.5), 300, {1}), (Cap(amount=70, unit="rows"), 70, {1}),
        (Cap(amount=450, unit="tokens"), 45, {1}),
    ],
)  # fmt: skip
def test_a_cap_is_the_most_of_a_source(target: Path, cap: Cap, rows: int, times: set[int]) -> None:
    told = make(target, order(Source(dataset="news", cap=cap), Source(dataset="poems")))
    found = Counter(each for each in samples(target) if word_of(each) == "خبر")
    assert (found.total(), set(found.values())) == (rows, times)
    assert told.figures()["sources"][0]["passes"] == pytest.approx(rows / 600, abs=1e-4)


def test_by_default_nothing_is_repeated_and_the_budget_is_not_reached(target: Path) -> None:
    told = make(target, order(NEWS, POEMS, budget=100_000))
    assert max(Counter(samples(target)).values()) == 1
    assert [each for each in told.warnings if each["code"] == "short"] == [
        {"code": "short", "tokens": 12_000, "budget": 100_000}
    ]


def test_a_small_part_comes_from_all_over_a_dataset(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(incoming, "GROUP_ROWS", 100)
    store(target, "long", texts("بلند", 2000))
    make(target, order(Source(dataset="long", weight=1), budget=2000))
    rows = sorted(int(each.text.split()[0][4:].split("x")[0]) for each in samples(target) if isinstance(each, Text))
    assert len(rows) == 200
    assert len({row // 100 for row in rows}) >= 19, "pieces of 100 rows, and nearly every one gave some"


def test_an_estimate_that_is_wrong_is_made_good(target: Path) -> None:
    """The rows that are looked at are the short ones: the source seems to have a tenth of what it has."""
    uneven = [Text(" ".join(f"ن{row}x{place}" for place in range(1 if row % 10 else 100))) for row in range(480)]
    store(target, "uneven", uneven)
    told = make(target, order(Source(dataset="uneven", weight=1), POEMS, budget=8000)).figures()
    assert told["tokens"] == pytest.approx(8000, abs=20)


def test_pairs_beside_texts_are_written_in_the_direction_asked_for(target: Path) -> None:
    store(target, "pairs", pairs(40))
    told = make(target, order(Source(dataset="news"), Source(dataset="pairs", direction="fa-en")))
    found = [each.text for each in samples(target) if isinstance(each, Text) and "sentence" in each.text]
    assert sorted(found) == sorted(f"{pair.fa}\n{pair.en}" for pair in pairs(40))
    assert told.manifest.kind == "text"
    both = make(target, order(Source(dataset="news"), Source(dataset="pairs")), "both").figures()
    assert (both["sources"][1]["rows"], both["sources"][1]["passes"]) == (80, 1.0)


def test_pairs_beside_chats_become_chats_and_alone_stay_pairs(target: Path) -> None:
    store(target, "pairs", pairs(40))
    store(target, "chats", chats(30))
    made = make(target, order(Source(dataset="chats"), Source(dataset="pairs", direction="en-fa"), kind="chat"))
    found = samples(target)
    assert (made.manifest.kind, len(found)) == ("chat", 70)
    asked = [each.messages[0].content for each in found if isinstance(each, Chat)]
    assert sum(text.startswith("Translate") for text in asked) == 40
    make(target, order(Source(dataset="pairs"), kind="pair"), "alone")
    assert Counter(samples(target, "alone")) == Counter(pairs(40))


def test_a_document_too_long_for_its_share_is_cut_and_its_rest_comes_if_there_is_room(target: Path) -> None:
    novel = " ".join(f"رمان0x{place}" for place in range(50_000))
    store(target, "novel", [Text(novel)])
    told = make(target, order(Source(dataset="novel", weight=1), Source(dataset="news", weight=1), budget=2000))
    assert [part["tokens"] for part in told.figures()["sources"]] == pytest.approx([1000, 1000], abs=5)
    found = [each.text for each in samples(target) if isinstance(each, Text) and word_of(each) == "رمان"]
    assert novel.startswith("".join(found))
    more = make(
        target, order(Source(dataset="novel", weight=1), Source(dataset="poems", weight=9), budget=10_000), "m"
    )
    assert [part["tokens"] for part in more.figures()["sources"]] == pytest.approx([4000, 6000], abs=40)


def test_held_out_rows_are_in_a_dataset_of_their_own_with_the_same_shares(target: Path) -> None:
    made = make(target, order(NEWS, POEMS, budget=4000, held_out=0.1))
    assert made.held_out is not None
    assert (made.held_out.name, made.held_out.mixed and made.held_out.mixed.sibling) == ("mixed-held-out", "mixed")
    assert made.manifest.mixed is not None
    assert made.manifest.mixed.sibling == "mixed-held-out"
    aside = samples(target, "mixed-held-out")
    assert not set(aside) & set(samples(target))
    assert made.figures()["held_out"]["tokens"] == pytest.approx(400, abs=20)
    assert shares_of(aside) == pytest.approx({"خبر": 0.75, "شعر": 0.25}, abs=0.06)
    assert sorted(path.name for path in (target / "mixed").iterdir()) == ["data-00000.parquet", "manifest.json"]


def test_a_single_dataset_is_split(target: Path) -> None:
    made = make(target, order(Source(dataset="news"), held_out=0.05))
    whole = samples(target) + samples(target, "mixed-held-out")
    assert Counter(whole) == Counter(samples(target, "news"))
    assert made.held_out is not None
    assert made.held_out.rows == pytest.approx(30, abs=2)


def test_a_repeated_source_is_held_out_once(target: Path) -> None:
    make(target, order(Source(dataset="news", cap=Cap(amount=3)), held_out=0.1))
    aside = samples(target, "mixed-held-out")
    assert len(aside) == len(set(aside)) == pytest.approx(60, abs=3)
    assert not set(aside) & set(samples(target))


def fault(target: Path, *arguments: Any, **options: Any) -> StudioError:
    before = sorted(path.name for path in target.iterdir())
    with pytest.raises(StudioError) as caught:
        make(target, *arguments, **options)
    assert sorted(path.name for path in target.iterdir()) == before, "nothing is half-stored"
    return caught.value


def test_a_budget_smaller_than_a_row_is_refused(target: Path) -> None:
    found = fault(target, order(NEWS, budget=5))
    assert (found.code, found.details) == ("mix.budget_too_small", {"value": 5, "needed_tokens": 10})


def test_names_that_are_taken_are_refused_the_held_out_one_too(target: Path) -> None:
    assert fault(target, order(NEWS), "news").code == "data.name_taken"
    store(target, "split-held-out", texts("دیگر", 3))
    found = fault(target, order(NEWS, held_out=0.1), "split")
    assert (found.code, found.details["name"]) == ("data.name_taken", "split-held-out")
    assert len(mixes.held_out_name("a" * 64)) == 64


def test_a_dataset_that_was_deleted_meanwhile_is_named(target: Path) -> None:
    delete(target / "poems")
    found = fault(target, order(NEWS, POEMS))
    assert (found.code, found.details["name"]) == ("data.no_such_dataset", "poems")


def test_a_dataset_that_became_chats_meanwhile_is_refused(target: Path) -> None:
    store(target, "chats", chats(5))
    assert fault(target, order(NEWS, Source(dataset="chats", weight=1))).code == "mix.texts_with_chats"


@pytest.mark.parametrize("held_out", [0.0, 0.1])
def test_a_full_disk_leaves_nothing(target: Path, held_out: float) -> None:
    assert fault(target, order(NEWS, held_out=held_out), free=lambda folder: 1000).code == "disk.too_small"


@pytest.mark.parametrize("looks", [0, 1, 2, 3])
def test_a_stop_leaves_nothing(target: Path, looks: int) -> None:
    left = iter([False] * looks)
    assert fault(target, order(NEWS, POEMS, held_out=0.1), stopping=lambda: next(left, True)).code == "job.stopped"


def test_if_the_mix_cannot_be_stored_what_was_held_out_is_not_either(
    target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = incoming.Incoming.commit

    def fails(self: incoming.Incoming, **given: Any) -> Any:
        if given["mixed"].part == "mix":
            raise StudioError("data.name_taken", name="mixed")
        return commit(self, **given)

    monkeypatch.setattr(incoming.Incoming, "commit", fails)
    assert fault(target, order(NEWS, held_out=0.1)).code == "data.name_taken"


def test_progress_runs_from_nothing_to_all(target: Path) -> None:
    seen: list[tuple[float, str]] = []
    make(target, order(NEWS, POEMS, held_out=0.1), progress=lambda share, note: seen.append((share, note)))
    assert [share for share, _ in seen] == sorted(share for share, _ in seen)
    assert {note for _, note in seen} == {"progress.mix.compare", "progress.mix.count", "progress.mix.write"}
    assert all(0 <= share <= 1 for share, _ in seen)


def test_tokens_are_what_the_tokenizer_says(target: Path) -> None:
    made = make(target, order(Source(dataset="poems")))
    assert made.figures()["tokens"] == sum(
        count_words([each.text for each in samples(target) if isinstance(each, Text)])
    )


def test_a_pair_is_no_document_to_cut(target: Path) -> None:
    long = Pair(" ".join(["یک"] * 300), " ".join(["one"] * 300))
    store(target, "pairs", [long])
    made = make(target, order(Source(dataset="pairs", weight=1), NEWS, budget=1000))
    assert made.figures()["sources"][0]["tokens"] == 0
    assert made.figures()["tokens"] == pytest.approx(1000, abs=20)
