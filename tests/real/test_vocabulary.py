"""Continued BPE on the real tokenizers of the starter models."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from studio.data.starters import held_out_lines
from studio.models.files import TOKENIZER, chat_template
from studio.models.render import render_chat
from studio.models.tokenizer import special_tokens
from studio.tokenizer import vocabulary as folders
from studio.tokenizer.candidates import read_piece
from studio.tokenizer.report import count_unreachable
from studio.tokenizer.scripts import JOINER, find_script
from studio.tokenizer.vocabulary import Vocabulary
from tests.real.expanded import STARTERS, base_of_starter, expand
from tests.real.texts import ENGLISH, PERSIAN, awkward_lines

SCRIPT = find_script()
CODE = Path(folders.__file__).read_text(encoding="utf8").splitlines()


@pytest.fixture(scope="module", params=STARTERS)
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Vocabulary]:
    base, out = base_of_starter(request.param), tmp_path_factory.mktemp("vocabulary") / request.param
    return base, out, expand(base, out)


@pytest.fixture(scope="module")
def loaded(pair: tuple[Path, Path, Vocabulary]) -> tuple[Tokenizer, Tokenizer]:
    base, new = (Tokenizer.from_file(str(folder / TOKENIZER)) for folder in pair[:2])
    return base, new


def ids(tokenizer: Tokenizer, text: str) -> list[int]:
    return list(tokenizer.encode(text, add_special_tokens=False).ids)


LINES = [*PERSIAN, *ENGLISH, *awkward_lines(), *CODE]
LETTERS = st.text(st.sampled_from("ابپتسشرزژدذمنوهیکگچخ‌َُِّ؟،۰۱۲ \n«»،؛aA1."), max_size=60)
ANY = st.one_of(LETTERS, st.text(st.characters(exclude_categories=("Cs",)), max_size=40), st.sampled_from(LINES))


@settings(max_examples=400, deadline=None)
@given(text=ANY)
def test_other_text_is_the_same_and_none_gets_longer(loaded: tuple[Tokenizer, Tokenizer], text: str) -> None:
    before, after = (ids(tokenizer, text) for tokenizer in loaded)
    assert len(after) <= len(before)
    assert SCRIPT.touches(text) or before == after
    assert loaded[0].decode(before, skip_special_tokens=False) == loaded[1].decode(after, skip_special_tokens=False)


def test_real_text(loaded: tuple[Tokenizer, Tokenizer]) -> None:
    for line in [*LINES, *held_out_lines("en")]:
        before, after = (ids(tokenizer, line) for tokenizer in loaded)
        assert len(after) <= len(before)
        assert SCRIPT.touches(line) or before == after
    base, new = (sum(len(ids(tokenizer, line)) for line in held_out_lines("fa")) for tokenizer in loaded)
    assert new < base


def test_ids_pieces_and_half_space(pair: tuple[Path, Path, Vocabulary], loaded: tuple[Tokenizer, Tokenizer]) -> None:
    base, new = (tokenizer.get_vocab(with_added_tokens=True) for tokenizer in loaded)
    assert {token: new[token] for token in base} == base
    first = max(base.values()) + 1
    assert sorted(set(new.values()) - set(base.values())) == list(range(first, first + pair[2].added))
    assert count_unreachable(loaded[1], pair[2]) == 0
    walking = [loaded[1].decode([token]) for token in ids(loaded[1], "می‌روم")]
    assert sum(JOINER in token for token in walking) == 1


def test_pieces_are_whole_and_a_smaller_size_is_a_prefix(pair: tuple[Path, Path, Vocabulary], tmp_path: Path) -> None:
    base, folder, found = pair
    pieces = found.extension.pieces
    texts = [read_piece(piece, found.kind) for piece in pieces]
    assert len(set(pieces)) == len(pieces) == found.added
    assert [piece for piece, text in zip(pieces, texts, strict=True) if text is None or not SCRIPT.owns(text)] == []
    folders.cut(folder, 150, tmp_path / "cut")
    assert expand(base, tmp_path / "learned", 150).extension.pieces == pieces[:150]
    for file in (tmp_path / "learned").iterdir():
        assert (tmp_path / "cut" / file.name).read_bytes() == file.read_bytes(), file.name


def test_saving_and_loading_keeps_every_id(
    pair: tuple[Path, Path, Vocabulary], loaded: tuple[Tokenizer, Tokenizer], tmp_path: Path
) -> None:
    from transformers import AutoTokenizer

    base, new = (tokenizer.get_vocab(with_added_tokens=True) for tokenizer in loaded)
    loaded[1].save(str(tmp_path / TOKENIZER))
    AutoTokenizer.from_pretrained(pair[1]).save_pretrained(tmp_path / "automatic")
    again = Tokenizer.from_file(str(tmp_path / TOKENIZER))
    automatic = AutoTokenizer.from_pretrained(tmp_path / "automatic")
    assert again.get_vocab(with_added_tokens=True) == automatic.get_vocab() == new
    assert AutoTokenizer.from_pretrained(pair[0]).get_added_vocab() == automatic.get_added_vocab()
    assert {token: new[token] for token in base} == base
    for line in LINES:
        assert ids(again, line) == automatic(line, add_special_tokens=False).input_ids == ids(loaded[1], line)


def test_a_chat_is_rendered_to_the_same_ids(
    pair: tuple[Path, Path, Vocabulary], loaded: tuple[Tokenizer, Tokenizer]
) -> None:
    from transformers import AutoTokenizer

    template = chat_template(pair[1])
    assert template == chat_template(pair[0])
    assert template is not None
    talk = [{"role": "user", "content": "Who wrote “Frankenstein”?"}]
    text = render_chat(template, talk, add_generation_prompt=True, special_tokens=special_tokens(pair[1]))
    assert ids(loaded[0], text) == ids(loaded[1], text)
    automatic = AutoTokenizer.from_pretrained(pair[1])
    for line in (text, *PERSIAN[:5]):
        assert automatic(line, add_special_tokens=False).input_ids == ids(loaded[1], line)
