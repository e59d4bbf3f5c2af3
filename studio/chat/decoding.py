"""Token ids to text while they arrive, never showing half a character."""

from __future__ import annotations

from collections.abc import Callable

UNKNOWN = "\ufffd"  # what decoders write for bytes that are no character (yet)
# Decoding the whole answer at every token costs 2 ms at 2,000 tokens, a tenth of a step on a GPU; a window of this
# many tokens keeps it flat.
WINDOW = 64
KEPT = 8


class TextStream:
    """Decodes an answer token by token.

    A Persian letter is two bytes and often two tokens, so the end of the text stays back until its bytes are a
    character. SentencePiece's byte fallback even turns whole letters into unknowns again while a run of bytes is
    incomplete: nothing is emitted unless it continues what has been emitted.

    Args:
        decode: Maps ids to text, special tokens left out.
    """

    def __init__(self, decode: Callable[[list[int]], str]) -> None:
        self._decode = decode
        self._ids: list[int] = []
        self._shown = ""  # text of the window that has been emitted

    def add(self, token: int) -> str:
        """Take one more token and give the characters that became whole, often none."""
        self._ids.append(token)
        text = self._decode(self._ids)
        piece = self._new(text)
        if len(self._ids) > WINDOW and self._shown == text:
            self._shorten()
        return piece

    def end(self) -> str:
        """What is left once no token follows; bytes that never became a character are dropped."""
        return self._new(self._decode(self._ids))

    def _new(self, text: str) -> str:
        whole = text.rstrip(UNKNOWN)
        if whole.startswith(self._shown):
            piece = whole[len(self._shown) :]
        elif whole == text:
            piece = text.rpartition(UNKNOWN)[2]  # the run ended without healing: go on behind it
        else:
            return ""
        self._shown = whole
        return piece

    def _shorten(self) -> None:
        # A few tokens stay as context: the first token of a text loses its leading space in SentencePiece families.
        tail = self._ids[-KEPT:]
        text = self._decode(tail)
        if text and UNKNOWN not in text:
            self._ids, self._shown = tail, text
