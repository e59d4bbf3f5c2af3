"""Decoded text in chunks and in lines, with the line where the bytes stop making sense."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator

from studio.data.compressed import ByteSource
from studio.data.encoding import explain_bytes
from studio.errors import StudioError

LINE_LIMIT = 64 * 10**6


def read_chunks(source: ByteSource, encoding: str) -> Iterator[str]:
    """The text of `source`, about 1 MB at a time.

    Raises:
        StudioError: ``data.encoding``, ``data.encoding_broken`` or ``data.truncated``, each with the line as `row`.
    """
    decoder = codecs.getincrementaldecoder(encoding)()
    line = 1
    while True:
        data = source.read()
        try:
            text = decoder.decode(data, final=not data)
        except UnicodeDecodeError as error:
            if not data:
                raise StudioError("data.truncated", file=source.name, row=line) from error
            row = line + error.object.count(b"\n", 0, error.start)
            raise _undecodable(source, encoding, error, row) from error
        if not data and not text:
            return
        line += text.count("\n")
        if text:
            yield text


def read_lines(source: ByteSource, encoding: str, *, translate: bool = True) -> Iterator[str]:
    """Every line of `source`, blank ones too, each with its end (``\\n`` if `translate` maps ``\\r\\n`` and ``\\r``).

    Only these ends count: ``str.splitlines`` would also cut at U+2028 and U+0085, which occur inside texts.

    Raises:
        StudioError: As `read_chunks`; ``data.line_too_long`` with the `row`.
    """
    newlines = io.IncrementalNewlineDecoder(None, translate=True)
    rest, count = "", 0
    for chunk in read_chunks(source, encoding):
        lines = (rest + (newlines.decode(chunk) if translate else chunk)).split("\n")
        rest = lines.pop()
        for line in lines:
            yield line + "\n"
        count += len(lines)
        if len(rest) > LINE_LIMIT:
            raise StudioError("data.line_too_long", file=source.name, row=count + 1, limit_mb=LINE_LIMIT / 1e6)
    rest += newlines.decode("", final=True) if translate else ""
    if rest:
        yield rest


def _undecodable(source: ByteSource, encoding: str, error: UnicodeDecodeError, row: int) -> StudioError:
    # What began as UTF-8 is not all in the older encoding that the next bytes look like.
    if encoding.startswith("utf-8") and source.head.isascii():
        explained = explain_bytes(error.object[error.start : error.start + 2000], source.name, row=row)
        if explained.code == "data.encoding":
            return explained
    return StudioError("data.encoding_broken", file=source.name, row=row, encoding=encoding)
