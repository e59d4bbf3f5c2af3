from __future__ import annotations

import pytest

from studio.data.encoding import detect_encoding
from studio.data.read import open_rows, read_lines
from studio.errors import StudioError

from .files import write

PERSIAN = (
    "در روزگار قديم پادشاهي بود که سه پسر داشت. روزي پسر بزرگ به پدر گفت: مي‌خواهم به سفر بروم.\n"
    "پدر گفت: برو، ولي زود برگرد. او با اسب سفيد خود از شهر بيرون رفت و چند روز در راه بود.\n"
)
ARABIC = "ذهب الولد إلى المدرسة في الصباح ثم عاد إلى البيت مع أصدقائه وكتب الدرس على الورق.\n"


def fault(path, **options) -> StudioError:
    with pytest.raises(StudioError) as caught, open_rows(path, **options) as rows:
        list(rows)
    return caught.value


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_unicode_is_read_without_asking(tmp_path, encoding) -> None:
    path = write(tmp_path, "a.txt", PERSIAN.encode(encoding))
    assert list(read_lines(path)) == PERSIAN.splitlines()


@pytest.mark.parametrize(
    "text", [PERSIAN, ARABIC, "سلام", "id;text\n1;کتاب خوب\n2;شهر بزرگ\n", "plain English line\n" * 900 + PERSIAN]
)
def test_windows_1256_is_guessed_and_offered(tmp_path, text) -> None:
    path = write(tmp_path, "a.txt", text.encode("windows-1256"))
    error = fault(path)
    assert (error.code, error.details["guess"]) == ("data.encoding", "windows-1256")
    word = next(word for word in text.split() if not word.isascii()).split(";")[-1]
    assert word in error.details["sample"]
    assert list(read_lines(path, encoding="windows-1256")) == text.splitlines()


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("Съешь же ещё этих мягких французских булок, да выпей чаю. " * 9, "windows-1251"),
        ("Le café était fermé; la fenêtre, entrouverte, laissait voir où le garçon rêvait. " * 9, "windows-1252"),
        ("Ξεσκεπάζω την ψυχοφθόρα βδελυγμία και την άλλη μέρα ήταν καλύτερα. " * 9, "windows-1253"),
        ("Größe und Übermut, Mädchen und Füße, ähnlich wie Öl. " * 9, "windows-1252"),
    ],
)
def test_other_encodings_are_not_taken_for_persian(tmp_path, text, encoding) -> None:
    error = fault(write(tmp_path, "a.txt", text.encode(encoding)))
    assert error.code in ("data.encoding", "data.encoding_unknown")
    assert error.details.get("guess") != "windows-1256"


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_without_a_mark_is_offered(tmp_path, encoding) -> None:
    path = write(tmp_path, "a.txt", PERSIAN.encode(encoding))
    assert fault(path).details["guess"] == encoding
    assert list(read_lines(path, encoding=encoding)) == PERSIAN.splitlines()


def test_an_accepted_encoding_is_not_forced_on_unicode(tmp_path) -> None:
    for name, encoding in (("a.txt", "utf-8"), ("b.txt", "utf-16"), ("c.txt", "utf-8-sig")):
        path = write(tmp_path, name, PERSIAN.encode(encoding))
        assert list(read_lines(path, encoding="windows-1256")) == PERSIAN.splitlines()


@pytest.mark.parametrize("name", ["no-such", "hex", "rot13"])
def test_an_encoding_nobody_knows(tmp_path, name) -> None:
    error = fault(write(tmp_path, "a.txt", "سلام"), encoding=name)
    assert (error.code, error.details["encoding"]) == ("data.encoding_name", name)


@pytest.mark.parametrize("lines", [9, 60_000])
def test_bytes_that_change_their_mind_name_the_line(tmp_path, lines) -> None:
    old = PERSIAN.encode("windows-1256")
    error = fault(write(tmp_path, "a.txt", ("یک خط درست\n" * lines).encode() + old))
    assert (error.code, error.details["row"]) == ("data.encoding_broken", lines + 1), "no one encoding reads it all"
    error = fault(write(tmp_path, "b.txt", b"a good line\n" * 60_000 + old))
    assert (error.code, error.details["row"], error.details["guess"]) == ("data.encoding", 60_001, "windows-1256")
    error = fault(write(tmp_path, "c.txt", "یک خط\n".encode() * 60_000 + b"a\xff\xfe\xffb\n"))
    assert (error.code, error.details["row"]) == ("data.encoding_broken", 60_001)


def test_a_letter_cut_at_the_end_is_a_truncation(tmp_path) -> None:
    error = fault(write(tmp_path, "a.txt", ("خط\n" * 100_000).encode()[:-2]))
    assert (error.code, error.details["row"]) == ("data.truncated", 100_000)


def test_a_letter_cut_at_the_end_of_the_head_is_no_fault() -> None:
    assert detect_encoding("سلام".encode()[:-1], False, "a") == "utf-8"
