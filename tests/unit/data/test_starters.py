from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import pytest

from studio.data import hafez, starters, stored
from studio.data.sample import Chat, Message, Pair, Text
from studio.errors import StudioError

from .files import write

TURNS = [{"role": "user", "content": "سلام"}, {"role": "assistant", "content": "درود"}]


@pytest.fixture
def samples(tmp_path) -> Path:
    folder = tmp_path / "samples"
    folder.mkdir()
    write(folder, "stories.jsonl", json.dumps({"fa": "گربه\nخوابید.", "en": "The cat\nslept."}) + "\n")
    write(folder, "more_stories.jsonl", json.dumps({"fa": "باران آمد.", "en": "The rain came."}) + "\n")
    write(folder, "chats.jsonl", json.dumps({"messages": TURNS}))
    write(folder, "prose.txt", "یک بند\n\nبند دیگر\n")
    return folder


def bring(name, target, **options) -> stored.Manifest:
    return starters.import_starter(name, target, progress=lambda *_: None, stopping=lambda: False, **options)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("sample-stories", [Pair("گربه\nخوابید.", "The cat\nslept.")]),
        ("sample-stories-more", [Pair("باران آمد.", "The rain came.")]),
        ("sample-chats", [Chat((Message("user", "سلام"), Message("assistant", "درود")))]),
        ("sample-prose", [Text("یک بند"), Text("بند دیگر")]),
    ],
)
def test_each_sample_becomes_a_dataset(tmp_path, samples, name, expected) -> None:
    manifest = bring(name, tmp_path, folder=samples)
    assert (manifest.name, manifest.licence, manifest.source) == (name, "CC0-1.0", "samples")
    assert list(stored.read_samples(tmp_path / name)) == expected
    with pytest.raises(StudioError) as caught:
        bring(name, tmp_path, folder=samples)
    assert caught.value.code == "data.name_taken"


def test_stories_give_held_out_lines_in_both_languages(samples) -> None:
    assert starters.story_pairs(samples) == [Pair("گربه\nخوابید.", "The cat\nslept.")]
    assert starters.held_out_lines("fa", samples) == ["گربه خوابید."]
    assert starters.held_out_lines("en", samples) == ["The cat slept."]


def test_the_held_out_stories_stay_thirty_and_none_of_them_is_trained_on(tmp_path) -> None:
    held_out = starters.held_out_lines()
    bring("sample-stories-more", tmp_path)
    more = list(stored.read_samples(tmp_path / "sample-stories-more"))
    assert (len(held_out), len(more)) == (30, 90)
    assert not set(held_out) & {pair.fa for pair in more if isinstance(pair, Pair)}


def test_an_unknown_sample(tmp_path) -> None:
    with pytest.raises(StudioError) as caught:
        bring("sample-nothing", tmp_path)
    assert caught.value.code == "data.no_such_dataset"


def test_hafez_without_its_package(tmp_path) -> None:
    with pytest.raises(StudioError) as caught:
        list(hafez.read_ghazals("no_package_of_this_name"))
    assert (caught.value.code, caught.value.details["package"]) == ("data.package_missing", "no_package_of_this_name")


@pytest.mark.skipif(find_spec("hafez") is None, reason="the package hafez is optional")
def test_hafez(tmp_path) -> None:
    manifest = bring("hafez", tmp_path)
    assert (manifest.rows, manifest.kind, manifest.licence) == (495, "text", "MIT")
    assert manifest.persian_share == 1.0
    first = stored.sample_rows(tmp_path / "hafez", 0, 1)[0]
    assert isinstance(first, Text)
    assert first.text.splitlines()[1] == "که عشق آسان نمود اول ولی افتاد مشکل ها"
