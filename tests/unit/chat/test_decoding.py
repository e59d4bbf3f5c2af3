"""Text that streams never shows half a character, and ends up whole."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, decoders, models

from studio.chat.decoding import UNKNOWN, WINDOW, TextStream


def bytes_decoder() -> Tokenizer:
    """A byte-level tokenizer without merges: each byte is a token, the worst case for Persian."""
    from tokenizers.pre_tokenizers import ByteLevel

    alphabet = sorted(ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({letter: index for index, letter in enumerate(alphabet)}, []))
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken("<|end|>", special=True)])
    return tokenizer


def fallback_decoder() -> Tokenizer:
    """A SentencePiece-like tokenizer that spells what it does not know in bytes."""
    vocabulary = {f"<0x{byte:02X}>": byte for byte in range(256)} | {"▁cat": 256, "▁": 257, "s": 258, "<unk>": 259}
    tokenizer = Tokenizer(models.BPE(vocabulary, [], unk_token="<unk>", byte_fallback=True))
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return tokenizer


LEVEL, FALLBACK = bytes_decoder(), fallback_decoder()


def stream(tokenizer: Tokenizer, ids: list[int]) -> list[str]:
    decoder = TextStream(lambda part: tokenizer.decode(part, skip_special_tokens=True))
    return [*(decoder.add(token) for token in ids), decoder.end()]


@given(st.text(max_size=200))
@settings(max_examples=150, deadline=None)
def test_any_text_arrives_whole_and_in_whole_characters(text: str) -> None:
    pieces = stream(LEVEL, LEVEL.encode(text).ids)
    assert "".join(pieces) == text.rstrip(UNKNOWN)
    assert UNKNOWN in text or not any(UNKNOWN in piece for piece in pieces)


@given(st.lists(st.integers(0, 256), max_size=300))
@settings(max_examples=150, deadline=None)
def test_garbage_bytes_end_up_as_the_decoder_has_them(ids: list[int]) -> None:
    assert "".join(stream(LEVEL, ids)) == LEVEL.decode(ids, skip_special_tokens=True).rstrip(UNKNOWN)


@pytest.mark.parametrize("text", ["سلام دنیا", "می‌رود", "👩‍🔬 و ۱۲٬۵۰۰", "é" * WINDOW])
def test_byte_fallback_arrives_whole(text: str) -> None:
    ids = [256, *text.encode(), 256, 258]
    pieces = stream(FALLBACK, ids)
    assert "".join(pieces) == f"cat{text} cats"
    assert not any(UNKNOWN in piece for piece in pieces)


def test_a_run_that_never_heals_does_not_stop_the_stream() -> None:
    ids = [*"س".encode(), 0xD8, 256, 258]
    assert "".join(stream(FALLBACK, ids)).endswith(" cats")


def test_a_persian_letter_comes_with_its_second_byte() -> None:
    assert stream(LEVEL, LEVEL.encode("سل").ids) == ["", "س", "", "ل", ""]


def test_special_tokens_are_hidden() -> None:
    end = LEVEL.token_to_id("<|end|>")
    assert "".join(stream(LEVEL, [*LEVEL.encode("سلام").ids, end])) == "سلام"


def test_a_long_answer_is_decoded_in_a_window() -> None:
    lengths: list[int] = []

    def decode(ids: list[int]) -> str:
        lengths.append(len(ids))
        return LEVEL.decode(ids)

    decoder = TextStream(decode)
    text = "داستان ماهی طلایی. " * 60
    assert "".join(decoder.add(token) for token in LEVEL.encode(text).ids) == text
    assert max(lengths) <= WINDOW + 16  # and a few while its start is half a letter
