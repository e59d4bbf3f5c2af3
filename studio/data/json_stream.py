"""Rows of json and jsonl, one at a time, however large the file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from studio.data.compressed import ByteSource
from studio.data.lines import LINE_LIMIT, read_chunks, read_lines
from studio.errors import StudioError

Row = tuple[int, dict[str, Any]]

WHOLE_CHARACTERS = 8 * 10**6
_BLANK = " \t\r\n"
# Keys under which a single object usually keeps its rows.
_ROW_KEYS = ("data", "rows", "items", "examples", "train", "records", "conversations")
# Hand-made files carry raw tabs and newlines inside strings; they mean what they look like.
_DECODER = json.JSONDecoder(strict=False)


def read_jsonl(source: ByteSource, encoding: str) -> Iterator[Row]:
    """The object on each line, with the line number; blank lines are skipped.

    Raises:
        StudioError: ``data.json_broken`` or ``data.json_no_object`` with the `row`; ``data.truncated`` if the last
            line ends early.
    """
    lines = enumerate(read_lines(source, encoding), start=1)
    for row, line in lines:
        if line.isspace():
            continue
        try:
            value = _DECODER.decode(line)
        except (ValueError, RecursionError) as error:
            last = all(later.isspace() for _, later in lines) if _incomplete(error, line.rstrip()) else False
            raise StudioError("data.truncated" if last else "data.json_broken", file=source.name, row=row) from error
        yield row, _as_row(value, source.name, row)


def read_json(source: ByteSource, encoding: str) -> Iterator[Row]:
    """Rows of an array of objects, of one object that keeps such an array, or of objects one after the other.

    Rows are numbered from 1 in their order. Text in an array stands for ``{"text": …}``.

    Raises:
        StudioError: ``data.json_broken`` or ``data.truncated`` with the `row` after the last whole one,
            ``data.json_no_object``, ``data.json_no_rows``, ``data.line_too_long``.
    """
    scanner = _Scanner(source, encoding)
    first = scanner.peek()
    if first == "":
        return
    values = scanner.array() if first == "[" else _values_of_objects(scanner) if first == "{" else None
    if values is None:
        raise StudioError("data.json_broken", file=source.name, row=1)
    for row, value in enumerate(values, start=1):
        yield row, _as_row(value, source.name, row)


def _values_of_objects(scanner: _Scanner) -> Iterator[Any]:
    # A file called .json is quite often jsonl: decide by what follows the first object.
    if not scanner.holds_whole_value():
        yield from scanner.array_inside()
        return
    value = scanner.value()
    if scanner.peek() == "":
        lists = {key: item for key, item in value.items() if isinstance(item, list) and item and _rows_like(item)}
        chosen = next((key for key in _ROW_KEYS if key in lists), next(iter(lists), None))
        # {"messages": [...]} alone is one chat, not a file of messages.
        single = chosen is None or "role" in lists[chosen][0] or "from" in lists[chosen][0]
        yield from [value] if single else lists[chosen or ""]
        return
    yield value
    while scanner.peek() != "":
        yield scanner.value()


def _rows_like(items: list[Any]) -> bool:
    return all(isinstance(item, dict) for item in items[:10])


def _as_row(value: Any, file: str, row: int) -> dict[str, Any]:
    if isinstance(value, dict):
        return value
    if isinstance(value, str):
        return {"text": value}
    if isinstance(value, list) and value and _rows_like(value):
        return {"messages": value}
    raise StudioError("data.json_no_object", file=file, row=row)


def _incomplete(error: BaseException, text: str) -> bool:
    """Whether `text` went wrong only because it ends too early."""
    if not isinstance(error, json.JSONDecodeError):
        return False
    if error.msg.startswith("Unterminated string") or (error.pos >= len(text) and error.msg != "Extra data"):
        return True
    # A literal (``tru``) or an escape (``\\u06``) that is cut is reported where it starts.
    rest = text[error.pos :]
    if error.msg == "Expecting value":
        return any(literal.startswith(rest) for literal in ("true", "false", "null", "NaN", "-Infinity", "Infinity"))
    return "escape" in error.msg and len(rest) <= 6 and '"' not in rest


class _Scanner:
    """Takes JSON values off a stream, keeping only the one being read."""

    def __init__(self, source: ByteSource, encoding: str) -> None:
        self._file = source.name
        self._chunks = read_chunks(source, encoding)
        self._buffer, self._place, self._taken, self._ended = "", 0, 0, False

    def peek(self) -> str:
        """The next character that is not blank, or "" at the end."""
        while True:
            while self._place < len(self._buffer) and self._buffer[self._place] in _BLANK:
                self._place += 1
            if self._place < len(self._buffer):
                return self._buffer[self._place]
            if not self._more():
                return ""

    def value(self) -> Any:
        """Decode the next value."""
        self.peek()
        wanted = 0
        while True:
            try:
                value, end = _DECODER.raw_decode(self._buffer, self._place)
            except (ValueError, RecursionError) as error:
                if not _incomplete(error, self._buffer):
                    raise self._broken() from error
            else:
                # A number at the very end of the buffer may go on in the next chunk.
                if end < len(self._buffer) or self._ended:
                    self._place, self._taken = end, self._taken + 1
                    return value
            # Twice as much each time, or a long value would be decoded again at every chunk.
            wanted = max(2 * wanted, 1 << 20)
            self._fill(wanted)

    def holds_whole_value(self) -> bool:
        """Whether the next value ends within `WHOLE_CHARACTERS`."""
        while len(self._buffer) - self._place < WHOLE_CHARACTERS and self._more():
            pass
        try:
            _DECODER.raw_decode(self._buffer, self._place)
        except (ValueError, RecursionError) as error:
            if self._ended or not _incomplete(error, self._buffer):
                raise (self._truncated() if _incomplete(error, self._buffer) else self._broken()) from error
            return False
        return True

    def array(self) -> Iterator[Any]:
        """Values of the array that starts here; nothing may follow it."""
        yield from self._items()
        if self.peek() != "":
            raise self._broken()

    def array_inside(self) -> Iterator[Any]:
        """Values of the first array of objects kept by the object that starts here."""
        self._expect("{")
        found = False
        while self.peek() != "}":
            if not isinstance(self.value(), str):
                raise self._broken()
            self._expect(":")
            if self.peek() == "[" and not found:
                self._taken, found = 0, True
                yield from self._items()
            else:
                self.value()
            if self.peek() != "}":
                self._expect(",")
        if not found:
            raise StudioError("data.json_no_rows", file=self._file)

    def _items(self) -> Iterator[Any]:
        self._expect("[")
        while self.peek() != "]":
            yield self.value()
            if self.peek() != "]":
                self._expect(",")
        self._expect("]")

    def _expect(self, mark: str) -> None:
        found = self.peek()
        if found != mark:
            raise self._truncated() if found == "" else self._broken()
        self._place += 1

    def _fill(self, wanted: int) -> None:
        before = len(self._buffer) - self._place
        if before > LINE_LIMIT:
            raise StudioError("data.line_too_long", file=self._file, row=self._taken + 1, limit_mb=LINE_LIMIT / 1e6)
        if self._ended:
            raise self._truncated()
        while len(self._buffer) - self._place < before + wanted and self._more():
            pass

    def _more(self) -> bool:
        chunk = next(self._chunks, None)
        if chunk is None:
            self._ended = True
            return False
        self._buffer, self._place = self._buffer[self._place :] + chunk, 0
        return True

    def _broken(self) -> StudioError:
        return StudioError("data.json_broken", file=self._file, row=self._taken + 1)

    def _truncated(self) -> StudioError:
        return StudioError("data.truncated", file=self._file, row=self._taken + 1)
