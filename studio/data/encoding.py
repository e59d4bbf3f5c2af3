"""How the bytes of a text file spell letters: Unicode is recognised, windows-1256 is guessed and offered."""

from __future__ import annotations

import codecs
import re

from studio.data.script import count_letters
from studio.errors import StudioError

SAMPLE_CHARACTERS = 120
GUESS_BYTES = 1 << 15
FOREIGN_LETTERS = 8

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# What starts like one of these is no text file at all; the sentence names it.
_SIGNATURES = (
    (b"%PDF", "PDF"),
    (b"\xd0\xcf\x11\xe0", "Word/Excel 97"),
    (b"Rar!", "RAR"),
    (b"7z\xbc\xaf", "7-Zip"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ", "xz"),
    (b"\x89PNG", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"GIF8", "GIF"),
    (b"{\\rtf", "RTF"),
    (b"\x7fELF", "ELF"),
    (b"SQLite format 3", "SQLite"),
    (b"ARROW1", "Arrow"),
)
_CONTROLS = bytes(code for code in range(32) if code not in b"\t\n\r\f\v\x1a\x1b\x1c\x1d\x1e\x1f")
_WORD = re.compile(r"[^\W\d_]+")
# As windows-1256 spells them: it has no Persian ye, so files carry the Arabic one.
_FREQUENT = frozenset(
    {
        *("و", "در", "به", "از", "که", "این", "اين", "را", "با", "است", "برای", "براي", "آن", "یک"),
        *("يك", "می", "مي", "هم", "تا", "بر", "شد", "او", "من", "ما", "في", "على"),
    }
)
_COMMON_LETTERS = "اينرهدمتوبلسکكشیع"


def detect_encoding(head: bytes, whole: bool, file: str) -> str:
    """The Unicode encoding of a text that starts with `head`.

    Args:
        head: First bytes of the file.
        whole: Whether `head` is the whole file; otherwise its last letter may be cut.
        file: Name for the sentences.

    Raises:
        StudioError: ``data.binary`` if it is no text; ``data.encoding`` with a `guess` and a decoded `sample` if it is
            text in an older encoding; ``data.encoding_broken`` with the `row` where UTF-8 ends and something else is
            mixed in; ``data.encoding_unknown``.
    """
    marked = next((name for mark, name in _MARKS if head.startswith(mark)), None)
    if marked:
        return marked
    if is_utf8(head, whole):
        if _looks_binary(head):
            raise StudioError("data.binary", file=file)
        return "utf-8"
    if fault := find_foreign(head):
        raise StudioError("data.encoding_broken", file=file, row=1 + head.count(b"\n", 0, fault), encoding="utf-8")
    raise explain_bytes(head, file)


def settle_encoding(head: bytes, whole: bool, file: str, accepted: str | None) -> str:
    """The encoding to read with: `accepted` by the user, unless the file is plainly Unicode itself.

    Of several files imported together one may be windows-1256 and the next UTF-8; a file with a byte order mark, or
    with letters outside ASCII that are valid UTF-8, is never windows-1256, so what was accepted is not forced on it.

    Raises:
        StudioError: As `detect_encoding`; ``data.encoding_name`` if Python knows no encoding called `accepted`.
    """
    if accepted is None:
        return detect_encoding(head, whole, file)
    try:
        b"a".decode(accepted, "ignore")
        name = codecs.lookup(accepted).name
    except LookupError as error:
        raise StudioError("data.encoding_name", encoding=accepted) from error
    marked = next((mark for magic, mark in _MARKS if head.startswith(magic)), None)
    if marked:
        return marked
    if not name.startswith("utf") and not head.isascii() and is_utf8(head, whole):
        return "utf-8"
    return accepted


def explain_bytes(data: bytes, file: str, **details: int) -> StudioError:
    """What to tell about bytes that are not UTF-8: a guess to accept, or that they are no text."""
    guess = _guess(data)
    if guess is None:
        return StudioError("data.binary" if _looks_binary(data) else "data.encoding_unknown", file=file, **details)
    return StudioError("data.encoding", file=file, guess=guess, sample=_sample(data, guess), **details)


def refuse_formats(head: bytes, file: str) -> None:
    """Refuse what is known not to be text.

    Raises:
        StudioError: ``data.other_format`` with the name of the `format`.
    """
    found = next((name for magic, name in _SIGNATURES if head.startswith(magic)), None)
    if head.startswith(b"PK\x03\x04"):
        # An Office file is a zip archive whose folder names come early.
        inside = ((b"word/", "Word"), (b"xl/", "Excel"), (b"ppt/", "PowerPoint"), (b"opendocument", "OpenDocument"))
        found = next((name for mark, name in inside if mark in head[:8192]), "ZIP")
    if found:
        raise StudioError("data.other_format", file=file, format=found)


def is_utf8(head: bytes, whole: bool) -> bool:
    """Whether `head` is valid UTF-8; unless `whole`, its last letter may be cut."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head, final=whole)
    except UnicodeDecodeError:
        return False
    return True


def find_foreign(head: bytes) -> int | None:
    """Where a text that is UTF-8 at first stops being so; None if it never was.

    Bytes of another encoding that pass for `FOREIGN_LETTERS` letters in a row do not occur by chance.
    """
    try:
        head.decode()
    except UnicodeDecodeError as error:
        before = head[: error.start].decode()
        return error.start if sum(not letter.isascii() for letter in before) >= FOREIGN_LETTERS else None
    return None


def _looks_binary(data: bytes) -> bool:
    # A few NULs in a text cost their rows (`conversion`), not the file.
    controls = len(data) - len(data.translate(None, _CONTROLS))
    return controls > 8 + len(data) * 0.02


def _guess(data: bytes) -> str | None:
    # Half of UTF-16 Persian is NUL or 0x06, so it is tried before NULs mean "binary".
    if b"\0" in data:
        even = data[: len(data) // 2 * 2]
        return next((name for name in ("utf-16-le", "utf-16-be") if _is_persian(even.decode(name, "replace"))), None)
    if _looks_binary(data):
        return None
    start = next((index for index, byte in enumerate(data) if byte > 127), 0)
    window = data[max(0, start - GUESS_BYTES // 4) : start + GUESS_BYTES]
    if _is_persian(window.decode("windows-1256")):
        return "windows-1256"
    from charset_normalizer import from_bytes

    best = from_bytes(window).best()
    return best.encoding if best and not best.encoding.startswith(("utf_8", "ascii")) else None


def _is_persian(text: str) -> bool:
    """Whether decoded `text` reads as Persian or Arabic: whole words in the script, common words or letters."""
    words = [word for word in _WORD.findall(text) if not word.isascii()]
    # Cyrillic, Greek or French bytes read as windows-1256 give words that mix Arabic and Latin letters.
    pure = [word for word in words if count_letters([word]).share == 1.0]
    if not words or len(pure) < 0.9 * len(words):
        return False
    letters = "".join(pure)
    common = sum(map(letters.count, _COMMON_LETTERS)) / len(letters)
    frequent = sum(word in _FREQUENT for word in pure) / len(pure)
    return common > 0.75 or (common > 0.6 and frequent > 0.04)


def _sample(data: bytes, encoding: str) -> str:
    start = next((index for index, byte in enumerate(data) if byte > 127), 0)
    first = max(0, start - 40) // 2 * 2
    text = " ".join(data[first : first + 4 * SAMPLE_CHARACTERS].decode(encoding, "replace").replace("\0", "").split())
    return text[:SAMPLE_CHARACTERS]
