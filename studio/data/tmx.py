"""Rows of a TMX translation memory: one for each translation unit, its languages as columns."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from xml.parsers import expat

from studio.data.compressed import ByteSource
from studio.data.json_stream import Row
from studio.data.lines import LINE_LIMIT, read_chunks
from studio.errors import StudioError

# What stands in these is not language but the codes of the program that the text was translated in (TMX 1.4b, §3).
_CODES = frozenset(("bpt", "ept", "it", "ph", "ut", "sub"))
_DECLARED = re.compile(rb"""^(?:\xef\xbb\xbf)?\s*<\?xml[^>]{0,100}?\sencoding\s*=\s*["']([A-Za-z][\w.-]*)["']""")
_CUT_OFF = (
    expat.errors.codes[expat.errors.XML_ERROR_NO_ELEMENTS],
    expat.errors.codes[expat.errors.XML_ERROR_UNCLOSED_TOKEN],
    expat.errors.codes[expat.errors.XML_ERROR_UNCLOSED_CDATA_SECTION],
)


def declared_encoding(head: bytes) -> str | None:
    """The encoding that the first line of an XML file names."""
    found = _DECLARED.match(head)
    return found[1].decode() if found else None


def read_tmx(source: ByteSource, encoding: str) -> Iterator[Row]:
    """The texts of each translation unit by language, counted from 1; the first of each language where it has several.

    Languages are small and without their region: ``fa-IR`` is ``fa``. Inline codes are left out of the texts with
    what stands in them. Memory holds one unit and what one chunk of the file gives.

    Raises:
        StudioError: ``data.xml_broken`` or ``data.truncated`` with the `row` that was reached, ``data.not_tmx``,
            ``data.xml_entities`` for a file that defines entities, ``data.line_too_long``, and what `read_chunks`
            raises.
    """
    units = _Units(source.name)
    for chunk in read_chunks(source, encoding):
        yield from units.feed(chunk.encode(), final=False)
    yield from units.feed(b"", final=True)


class _Units:
    """Follows the tags of a file and collects its units."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._row = self._fed = self._size = 0
        self._done: list[Row] = []
        self._unit: dict[str, Any] = {}
        self._language: str | None = None
        self._text: list[str] | None = None
        self._codes = 0  # how many inline codes are open: they may hold each other
        self._root = ""
        # The text is decoded already, so what the file says of its encoding no longer holds.
        self._parser = expat.ParserCreate("utf-8")
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._characters
        # A few lines of entities that stand for each other unpack to gigabytes, and others name files of this machine.
        self._parser.EntityDeclHandler = self._refuse_entities
        self._parser.SkippedEntityHandler = self._refuse_unknown

    def feed(self, data: bytes, *, final: bool) -> list[Row]:
        """The units that end in `data`."""
        self._done = []
        try:
            self._parser.Parse(data, final)
        except expat.ExpatError as error:
            code = "data.truncated" if final and error.code in _CUT_OFF else "data.xml_broken"
            raise StudioError(code, file=self._file, row=self._row + 1) from error
        self._fed += len(data)
        # A tag or comment without end is kept by the parser, which tells nothing of it.
        if self._fed - self._parser.CurrentByteIndex > LINE_LIMIT:
            raise self._too_long()
        return self._done

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if not self._root:
            self._root = name
            if name != "tmx":
                raise StudioError("data.not_tmx", file=self._file)
        if name == "tu":
            self._unit, self._size = {}, 0
        elif name == "tuv":
            spoken = attributes.get("xml:lang") or attributes.get("lang") or ""
            self._language = re.split("[-_]", spoken.strip().lower())[0] or None
        elif name == "seg":
            self._text = []
        elif name in _CODES:
            self._codes += self._text is not None

    def _end(self, name: str) -> None:
        if name == "tu":
            self._row += 1
            self._done.append((self._row, self._unit))
        elif name == "seg" and self._text is not None:
            if self._language:
                self._unit.setdefault(self._language, "".join(self._text).strip())
            self._text, self._codes = None, 0
        elif name in _CODES and self._codes:
            self._codes -= 1

    def _characters(self, text: str) -> None:
        if self._text is None or self._codes:
            return
        self._size += len(text)
        if self._size > LINE_LIMIT:
            raise self._too_long()
        self._text.append(text)

    def _refuse_entities(self, *_: object) -> None:
        raise StudioError("data.xml_entities", file=self._file)

    def _refuse_unknown(self, name: str, _: bool) -> None:
        raise StudioError("data.xml_broken", file=self._file, row=self._row + 1)

    def _too_long(self) -> StudioError:
        return StudioError("data.line_too_long", file=self._file, row=self._row + 1, limit_mb=LINE_LIMIT / 1e6)
