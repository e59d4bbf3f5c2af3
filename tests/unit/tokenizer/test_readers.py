"""Extended tokenizers as others read them: tokenizers, transformers, SentencePiece and llama.cpp's converter."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import sentencepiece
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from studio.tokenizer.sentencepiece import read_pieces
from tests.unit.tokenizer.expanded import MIXED, PERSIAN, SPACED, expand, ids
from tests.unit.tokenizer.families import (
    BYTE_FALLBACK,
    BYTE_LEVEL,
    CHECK,
    CORPUS,
    ENGLISH,
    SPECIALS,
    build,
    byte_fallback,
    write,
)


@pytest.mark.parametrize("name", BYTE_LEVEL)
def test_specials_outside_the_vocabulary_stay_where_they_were(name: str, tmp_path: Path) -> None:
    base = build(name, tmp_path / "base")
    expand(base, tmp_path / "out", 50)
    loaded = [Tokenizer.from_file(str(folder / "tokenizer.json")) for folder in (base, tmp_path / "out")]
    loaded[1].save(str(tmp_path / "saved.json"))
    loaded.append(Tokenizer.from_file(str(tmp_path / "saved.json")))
    for special in SPECIALS:
        assert len({each.token_to_id(special) for each in loaded}) == 1
        assert len({tuple(ids(each, f"a{special}b")) for each in loaded}) == 1
    saved, written = (
        json.loads((tmp_path / file).read_text()) for file in ("out/tokenizer.json", "base/tokenizer.json")
    )
    assert type(saved["model"]["merges"][0]) is type(written["model"]["merges"][0])
    assert saved["model"].get("ignore_merges") == written["model"].get("ignore_merges")


@pytest.mark.parametrize("name", BYTE_FALLBACK)
@settings(max_examples=150, deadline=None)
@given(text=st.one_of(PERSIAN, MIXED, SPACED))
def test_sentencepiece_agrees(name: str, tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    if name not in _SENTENCEPIECE:
        root = tmp_path_factory.mktemp(name)
        expand(build(name, root / "base"), root / "out")
        _SENTENCEPIECE[name] = (
            Tokenizer.from_file(str(root / "out/tokenizer.json")),
            sentencepiece.SentencePieceProcessor(model_file=str(root / "out/tokenizer.model")),
        )
    ours, theirs = _SENTENCEPIECE[name]
    assert theirs.get_piece_size() == ours.get_vocab_size()
    text = text.replace("\u2581", "")
    if text and not text.startswith(" "):  # SentencePiece has its own way with a space before the first word
        assert theirs.encode(text) == ids(ours, text)


@pytest.mark.parametrize("kind", ["PreTrainedTokenizerFast", "LlamaTokenizer"])
@pytest.mark.parametrize("added", [1, 11], ids=["pad", "phi3"])
def test_every_reader_finds_new_pieces_behind_tokens_that_the_model_file_lacks(
    added: int, kind: str, tmp_path: Path
) -> None:
    """Phi-3's file ends at 31,999 and its added tokens at 32,010; Llama-2 is often given a pad at 32,000."""
    from transformers import AutoTokenizer

    base, out = write(tmp_path / "base", *byte_fallback(added=added)), tmp_path / "out"
    config = json.loads((base / "tokenizer_config.json").read_text())
    (base / "tokenizer_config.json").write_text(json.dumps({**config, "tokenizer_class": kind}))
    first = len(read_pieces((base / "tokenizer.model").read_bytes())) + added
    pieces = expand(base, out).extension.pieces
    ours = Tokenizer.from_file(str(out / "tokenizer.json"))
    theirs = sentencepiece.SentencePieceProcessor(model_file=str(out / "tokenizer.model"))
    automatic = AutoTokenizer.from_pretrained(out)
    placeholders = [f"<|placeholder{place}|>" for place in range(added)]
    for place, piece in enumerate([*placeholders, *pieces], first - added):
        assert ours.token_to_id(piece) == automatic.convert_tokens_to_ids(piece) == theirs.piece_to_id(piece) == place
    for line in (*CORPUS[:13], *ENGLISH, f"{CORPUS[0]}  {CORPUS[1]}"):
        assert ids(ours, line) == automatic(line, add_special_tokens=False).input_ids == theirs.encode(line)


@pytest.mark.parametrize("name", BYTE_LEVEL)
def test_the_hash_llama_cpp_knows_a_splitting_by_is_unchanged(name: str, tmp_path: Path) -> None:
    base = build(name, tmp_path / "base")
    expand(base, tmp_path / "out")
    hashes = set()
    for folder in (base, tmp_path / "out"):
        tokens = ids(Tokenizer.from_file(str(folder / "tokenizer.json")), CHECK)
        hashes.add(hashlib.sha256(str(tokens).encode()).hexdigest())
    assert len(hashes) == 1


_SENTENCEPIECE: dict[str, tuple[Tokenizer, sentencepiece.SentencePieceProcessor]] = {}
