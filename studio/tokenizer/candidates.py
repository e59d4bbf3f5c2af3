"""Which strings may become pieces: whole letters, of the target script, not too long."""

from __future__ import annotations

from collections.abc import Callable

from studio.tokenizer.families import PREFIX, Kind
from studio.tokenizer.scripts import JOINER, Script

LONGEST = 16
"""Characters of a new piece, a leading space not counted."""


def byte_alphabet() -> dict[str, int]:
    """The characters that stand for the 256 bytes in a byte-level vocabulary (GPT-2's table)."""
    shown = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [code for code in range(256) if code not in shown]
    return {chr(code): code for code in shown} | {chr(256 + place): code for place, code in enumerate(hidden)}


_BYTES = byte_alphabet()
# str.translate to the same code points as latin-1 bytes: three times as quick as a loop over the characters.
_TABLE = {ord(letter): code for letter, code in _BYTES.items()}


def read_piece(piece: str, kind: Kind) -> str | None:
    """The text a piece stands for; None when it ends inside a letter or holds something that is no text."""
    if kind == "byte_fallback":
        return piece.replace(PREFIX, " ")
    try:
        return piece.translate(_TABLE).encode("latin-1").decode("utf8")
    except UnicodeError:
        return None


def candidate_rule(kind: Kind, script: Script, longest: int = LONGEST) -> Callable[[str], bool]:
    """The rule that a new piece has to pass, as a function of its spelling in the vocabulary."""
    if kind == "byte_level":

        def keep(piece: str) -> bool:
            text = read_piece(piece, "byte_level")
            if text is None or not script.owns(text):
                return False
            bare = text.removeprefix(" ")
            return len(bare) <= longest and " " not in bare

        return keep

    def keep_word(piece: str) -> bool:
        # Nothing splits the text here, so the rule does: letters, marks and joiners, a space only in front. Digits
        # stay single and punctuation apart, as SentencePiece's own trainer keeps them.
        bare = piece.removeprefix(PREFIX)
        return len(bare) <= longest and script.owns(bare) and bare != JOINER and bool(script.word.fullmatch(bare))

    return keep_word
