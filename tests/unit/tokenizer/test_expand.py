"""What continued BPE promises, tried on generated text for small tokenizers of every family."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from studio.errors import StudioError
from studio.tokenizer import vocabulary as folders
from studio.tokenizer.candidates import read_piece
from studio.tokenizer.families import read_family
from studio.tokenizer.scripts import JOINER
from studio.tokenizer.vocabulary import Vocabulary, read_vocabulary
from tests.tiny import SENTENCES
from tests.unit.tokenizer.expanded import ANY, CODE, OTHER, SCRIPT, SIZE, expand, ids
from tests.unit.tokenizer.families import CORPUS, ENGLISH, FAMILIES, build, write


@dataclass(frozen=True)
class Pair:
    """A base tokenizer and its extension, as files and loaded."""

    name: str
    base_folder: Path
    folder: Path
    vocabulary: Vocabulary
    base: Tokenizer
    new: Tokenizer


@pytest.fixture(scope="module", params=FAMILIES)
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    root = tmp_path_factory.mktemp(request.param)
    base, out = build(request.param, root / "base"), root / "out"
    found = expand(base, out)
    loaded = [Tokenizer.from_file(str(folder / "tokenizer.json")) for folder in (base, out)]
    return Pair(request.param, base, out, found, *loaded)


@settings(max_examples=300, deadline=None)
@given(text=st.one_of(OTHER, st.lists(st.sampled_from([*ENGLISH, *CODE]), max_size=3).map(" ".join)))
def test_text_without_the_script_is_the_same_id_for_id(pair: Pair, text: str) -> None:
    if not SCRIPT.touches(text):
        assert ids(pair.new, text) == ids(pair.base, text)


@settings(max_examples=400, deadline=None)
@given(text=ANY)
def test_no_text_gets_longer_and_every_text_decodes_as_before(pair: Pair, text: str) -> None:
    before, after = ids(pair.base, text), ids(pair.new, text)
    assert len(after) <= len(before)
    assert pair.new.decode(after, skip_special_tokens=False) == pair.base.decode(before, skip_special_tokens=False)


def test_real_sentences_cost_less_than_half(pair: Pair) -> None:
    text = "\n".join(SENTENCES[:8])
    assert len(ids(pair.new, text)) < len(ids(pair.base, text)) / 2


def test_ids_are_old_or_follow_them_without_a_gap(pair: Pair) -> None:
    old, new = (each.get_vocab(with_added_tokens=True) for each in (pair.base, pair.new))
    assert {piece: new[piece] for piece in old} == old
    pieces = pair.vocabulary.extension.pieces
    assert len(set(pieces)) == len(pieces)
    assert [new[piece] for piece in pieces] == list(range(max(old.values()) + 1, max(old.values()) + 1 + len(pieces)))
    assert len(new) == len(old) + len(pieces)


def test_every_new_piece_is_whole_and_reached_by_its_own_text(pair: Pair) -> None:
    kind = read_family(pair.base_folder).kind
    vocabulary = pair.new.get_vocab()
    unreached = []
    for piece in pair.vocabulary.extension.pieces:
        text = read_piece(piece, kind)
        assert text is not None, "ends inside a letter"
        assert SCRIPT.owns(text)
        # A piece from inside a word is not cut so when a space is put before it: look among the words it came from.
        found = {
            token for word in (text, *WORDS) if text in word or text.strip() in word for token in ids(pair.new, word)
        }
        if vocabulary[piece] not in found and pair.new.model.tokenize(piece)[0].id != vocabulary[piece]:
            unreached.append(text)
    assert unreached == []


WORDS = [part for line in CORPUS for word in line.split() for part in (word, f" {word}")]


def test_the_half_space_is_one_token(pair: Pair) -> None:
    alone = [token for token in ids(pair.new, "می‌روم") if pair.new.decode([token]) == JOINER]
    whole = [token for token in ids(pair.new, "می‌روم") if JOINER in pair.new.decode([token])]
    assert len(whole) == 1
    if pair.name == "gpt2":
        assert len(alone) == 1


def test_the_curve_is_exact_at_every_size(pair: Pair, tmp_path: Path) -> None:
    lines = [" ".join(line.split()) for line in CORPUS]
    unlettered = sum(len(ids(pair.base, word)) for line in lines for word in spaced(line) if not SCRIPT.touches(word))
    for size in (0, 1, 7, 60, SIZE):
        folder = tmp_path / str(size)
        folders.cut(pair.folder, size, folder)
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        total = sum(len(ids(tokenizer, line)) for line in lines)
        assert pair.vocabulary.curve[size] == total - unlettered
    assert pair.vocabulary.curve == sorted(pair.vocabulary.curve, reverse=True)
    assert len(pair.vocabulary.curve) == len(pair.vocabulary.extension) + 1 == len(pair.vocabulary.counts) + 1


def spaced(line: str) -> list[str]:
    first, *others = line.split()
    return [first, *(f" {word}" for word in others)]


def test_a_smaller_size_is_a_prefix_to_the_byte(pair: Pair, tmp_path: Path) -> None:
    for size in (2, 90):
        cut, learned = tmp_path / f"cut-{size}", tmp_path / f"learned-{size}"
        folders.cut(pair.folder, size, cut)
        assert expand(pair.base_folder, learned, size).extension.pieces == pair.vocabulary.extension.pieces[:size]
        for file in sorted(learned.iterdir()):
            assert (cut / file.name).read_bytes() == file.read_bytes(), file.name
    with pytest.raises(StudioError) as refused:
        folders.cut(pair.folder, SIZE + 1, tmp_path / "more")
    assert refused.value.details["available"] == SIZE


def test_an_extended_tokenizer_extends_again(pair: Pair, tmp_path: Path) -> None:
    corpus = [*CORPUS, *["پنجره‌های کوچک خانهٔ مادربزرگ همیشه باز بودند و باران می‌بارید"] * 5]
    again = expand(pair.folder, tmp_path / "again", 40, corpus)
    assert again.first == pair.vocabulary.first + SIZE
    twice = Tokenizer.from_file(str(tmp_path / "again" / "tokenizer.json"))
    old, new = pair.new.get_vocab(with_added_tokens=True), twice.get_vocab(with_added_tokens=True)
    assert {piece: new[piece] for piece in old} == old
    for line in [*corpus, *ENGLISH]:
        assert len(ids(twice, line)) <= len(ids(pair.new, line))
        assert SCRIPT.touches(line) or ids(twice, line) == ids(pair.base, line)


def test_saving_and_loading_changes_nothing(pair: Pair, tmp_path: Path) -> None:
    pair.new.save(str(tmp_path / "tokenizer.json"))
    again = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    assert again.get_vocab(with_added_tokens=True) == pair.new.get_vocab(with_added_tokens=True)
    for line in [*CORPUS[:13], *ENGLISH, *CODE]:
        assert ids(again, line) == ids(pair.new, line)


def test_letters_that_were_missing_come_when_no_merge_saves_more(pair: Pair) -> None:
    """Else a small size would be spent on rare letters, and cost more than merges trained apart."""
    curve = pair.vocabulary.curve
    savings = [before - after for before, after in pairwise(curve)]
    ranks = pair.vocabulary.extension.letter_ranks
    assert bool(ranks) == (read_family(pair.base_folder).kind == "byte_fallback")
    for rank in ranks:
        assert savings[rank] >= max(savings[rank + 1 :], default=0)
        assert savings[rank] <= min(savings[:rank], default=savings[rank])


def test_transformers_agrees_and_keeps_specials_and_the_chat_template(pair: Pair, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    loaded, base = (AutoTokenizer.from_pretrained(folder) for folder in (pair.folder, pair.base_folder))
    loaded.save_pretrained(tmp_path)
    for tokenizer in (loaded, AutoTokenizer.from_pretrained(tmp_path)):
        for line in [*CORPUS[:13], *ENGLISH]:
            assert tokenizer(line, add_special_tokens=False).input_ids == ids(pair.new, line)
        assert {
            token: tokenizer.convert_tokens_to_ids(token) for token in base.get_added_vocab()
        } == base.get_added_vocab()
        talk = [{"role": "user", "content": "Hello, who are you?"}]
        assert tokenizer.apply_chat_template(talk) == base.apply_chat_template(talk)


@pytest.mark.parametrize(
    ("script", "line"),
    [
        ("Cyrillic", "Съешь же ещё этих мягких французских булок, да выпей чаю"),
        ("Greek", "Ξεσκεπάζω την ψυχοφθόρα βδελυγμία και την αγάπη"),
    ],
)
@pytest.mark.parametrize("name", ["qwen", "llama2"])
def test_any_script_can_be_the_target(name: str, script: str, line: str, tmp_path: Path) -> None:
    base = build(name, tmp_path / "base")
    expand(base, tmp_path / "out", 40, [line] * 20, script)
    loaded = [Tokenizer.from_file(str(folder / "tokenizer.json")) for folder in (base, tmp_path / "out")]
    assert len(ids(loaded[1], line)) < len(ids(loaded[0], line)) / 2
    for other in (*ENGLISH, *CORPUS):
        assert ids(loaded[1], other) == ids(loaded[0], other)


def test_refusals_say_why(tmp_path: Path) -> None:
    base = build("gpt2", tmp_path / "base")
    definition = json.loads((base / "tokenizer.json").read_text())
    no_merges = {**definition, "model": {"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "a"}}
    unigram = {**definition, "model": {"type": "Unigram", "vocab": [["a", 0.0]], "unk_id": 0}}
    no_bytes = {**definition, "pre_tokenizer": {"type": "Whitespace"}}
    cases = {"unigram": unigram, "no_merges": no_merges, "no_bytes": no_bytes}
    for code, case in cases.items():
        with pytest.raises(StudioError, match=code) as refused:
            read_family(write(tmp_path / code, case))
        assert refused.value.code == f"vocabulary.{code}"
    for config in (
        {"model_type": "gemma3n", "text_config": {"model_type": "gemma3n_text"}},
        {"model_type": "gemma4", "text_config": {"hidden_size_per_layer_input": 256}},
        {"model_type": "else", "vision_config": {"vocab_offset": 262144}},
    ):
        (base / "config.json").write_text(json.dumps(config))
        with pytest.raises(StudioError) as refused:
            read_family(base)
        assert refused.value.code == "vocabulary.per_layer_tables"
    (base / "config.json").write_text(
        json.dumps({"model_type": "gemma4", "text_config": {"hidden_size_per_layer_input": 0}})
    )
    assert read_family(base).kind == "byte_level"


def test_what_was_written_is_read_back(pair: Pair) -> None:
    assert read_vocabulary(pair.folder) == pair.vocabulary
    assert pair.vocabulary.base_hash == hashlib.sha256((pair.base_folder / "tokenizer.json").read_bytes()).hexdigest()
