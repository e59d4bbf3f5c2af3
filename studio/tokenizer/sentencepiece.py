"""tokenizer.model, SentencePiece's own file: new pieces appended at the ids that tokenizer.json gives them.

Such a file is a protocol buffer, and one appended to another is the two merged: repeated fields follow each other and
of single ones the last counts. So an extended file begins with every byte of the base's.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from studio.errors import StudioError

_PIECE, _TRAINER, _VOCABULARY_SIZE = 1, 2, 4  # fields of ModelProto; of TrainerSpec
_NORMAL, _CONTROL, _USER, _UNUSED = 1, 3, 4, 5  # types of pieces


@dataclass(frozen=True, slots=True)
class ModelPiece:
    """An entry of the file; its place there is its id."""

    text: str
    score: float
    type: int = _NORMAL


def read_pieces(data: bytes, file: str = "tokenizer.model") -> list[ModelPiece]:
    """The pieces of a ``tokenizer.model``.

    Raises:
        StudioError: ``vocabulary.broken_model`` if it is no such file.
    """
    try:
        found = [_piece(value) for field, value in _fields(data) if field == _PIECE and isinstance(value, bytes)]
    except (IndexError, ValueError, struct.error) as error:
        raise StudioError("vocabulary.broken_model", file=file) from error
    if not found:
        raise StudioError("vocabulary.broken_model", file=file)
    return found


def extend_model(data: bytes, first: int, pieces: Sequence[str], added: Sequence[dict[str, Any]]) -> bytes:
    """Append `pieces` so that the first of them has the id `first`.

    Scores go on below the lowest of all: a score above it would put a new merge before an old one. Runs of spaces
    carry -1e9 in Llama-2, where one less is the same number in float32, so a step goes at least to the next there is.
    Scores between these and the ordinary ones made of two spaces and a Persian word ``▁``, ``▁word`` here and ``▁▁``,
    ``word`` by tokenizer.json: 18 of 875 lines.

    Args:
        data: The base's file.
        first: Id of the first new piece; ids that the file lacks until there get placeholders.
        pieces: New pieces in their order.
        added: ``added_tokens`` of the tokenizer.json, which name the placeholders.

    Raises:
        StudioError: ``vocabulary.broken_model``.
    """
    old = read_pieces(data)
    if len(old) > first:
        raise StudioError("vocabulary.broken_model", file="tokenizer.model")
    score = min((piece.score for piece in old if piece.type == _NORMAL), default=0.0)
    names = {token["id"]: token for token in added}
    new = [_placeholder(place, names.get(place)) for place in range(len(old), first)]
    for piece in pieces:
        score = score_below(score)
        new.append(ModelPiece(piece, score))
    size = _varint_field(_VOCABULARY_SIZE, first + len(pieces))
    return data + b"".join(map(_written, new)) + _bytes_field(_TRAINER, size)


def score_below(score: float) -> float:
    """One less than `score`, or where float32 has no such number the next that it has."""
    rounded: float = struct.unpack("<f", struct.pack("<f", min(score - 1, -1.0)))[0]
    if rounded < score:
        return rounded
    bits = struct.unpack("<I", struct.pack("<f", score))[0]
    found: float = struct.unpack("<f", struct.pack("<I", bits + 1))[0]
    return found


def _placeholder(place: int, token: dict[str, Any] | None) -> ModelPiece:
    # Phi-3's file ends at 31999 while ids 32000 to 32010 are added tokens: without these each new id is off by 11.
    if token is None:
        return ModelPiece(f"<unused_{place}>", 0.0, _UNUSED)
    return ModelPiece(token["content"], 0.0, _CONTROL if token.get("special") else _USER)


def _piece(data: bytes) -> ModelPiece:
    values = dict(_fields(data))
    text, score, kind = values.get(1, b""), values.get(2, bytes(4)), values.get(3, _NORMAL)
    if not isinstance(text, bytes) or not isinstance(score, bytes) or not isinstance(kind, int):
        raise ValueError("not a piece")
    return ModelPiece(text.decode("utf8", "replace"), struct.unpack("<f", score)[0], kind)


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    place = 0
    while place < len(data):
        key, place = _varint(data, place)
        kind = key & 7
        if kind == 0:
            value, place = _varint(data, place)
            yield key >> 3, value
            continue
        if kind == 2:
            length, place = _varint(data, place)
        elif kind in (1, 5):
            length = 8 if kind == 1 else 4
        else:
            raise ValueError(f"wire type {kind}")
        if place + length > len(data):
            raise ValueError("cut short")
        yield key >> 3, data[place : place + length]
        place += length


def _varint(data: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
        shift += 7


def _written(piece: ModelPiece) -> bytes:
    body = _bytes_field(1, piece.text.encode("utf8")) + bytes([2 << 3 | 5]) + struct.pack("<f", piece.score)
    return _bytes_field(_PIECE, body if piece.type == _NORMAL else body + _varint_field(3, piece.type))


def _bytes_field(field: int, value: bytes) -> bytes:
    return bytes([field << 3 | 2]) + _number(len(value)) + value


def _varint_field(field: int, value: int) -> bytes:
    return bytes([field << 3]) + _number(value)


def _number(value: int) -> bytes:
    written = bytearray()
    while value > 0x7F:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    written.append(value)
    return bytes(written)
