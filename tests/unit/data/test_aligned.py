from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest

from studio.data import stored
from studio.data.aligned import Aligned
from studio.data.manifest import Manifest, Place
from studio.data.sample import Pair
from studio.errors import StudioError
from studio.i18n import explain

from .files import PACKINGS, pack, write

FA = ["سلام دنیا", "کتاب خوب است", "هوا ابری است"]
EN = ["hello world", "the book is good", "it is cloudy"]


def bring(folder: Path, *files: Path, **options: str) -> Manifest:
    return stored.import_files(
        files, folder / "sets", "two", aligned=True, source="test", progress=lambda *_: None, stopping=lambda: False,
        **options,
    )  # fmt: skip


def fault(folder: Path, first: str, second: str) -> StudioError:
    with pytest.raises(StudioError) as caught:
        bring(folder, write(folder, "one.txt", first), write(folder, "two.txt", second))
    sets = folder / "sets"
    assert not sets.exists() or not list(sets.iterdir()), "nothing is half stored"
    return caught.value


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("exchanged", [False, True])
def test_line_n_translates_line_n_whatever_the_files_are_called(tmp_path: Path, packing: str, exchanged: bool) -> None:
    files = [write(tmp_path, f"corpus.en{packing}", pack("\n".join(FA).encode(), packing)),
             write(tmp_path, f"corpus.fa{packing}", pack("\r\n".join(EN).encode(), packing))]  # fmt: skip
    manifest = bring(tmp_path, *(reversed(files) if exchanged else files))
    assert (manifest.kind, manifest.rows, manifest.encoding) == ("pair", 3, "utf-8")
    assert list(stored.read_samples(tmp_path / "sets" / "two")) == [Pair(*both) for both in zip(FA, EN, strict=True)]


def test_a_line_blank_on_one_side_is_dropped_and_one_blank_on_both_is_skipped(tmp_path: Path) -> None:
    fa, en = [FA[0], "", " ", FA[1], FA[2], "", ""], [EN[0], "\t", "alone", EN[1], "", ""]
    manifest = bring(tmp_path, write(tmp_path, "a.fa", "\n".join(fa)), write(tmp_path, "b.en", "\n".join(en)))
    assert (manifest.rows, manifest.dropped) == (2, {"empty": 2})
    assert manifest.places == {"empty": [Place(file="a.fa + b.en", row=3), Place(file="a.fa + b.en", row=5)]}


@pytest.mark.parametrize("persian_first", [True, False])
def test_different_numbers_of_lines_name_the_first_left_over(tmp_path: Path, persian_first: bool) -> None:
    persian, english = "\n".join(FA * 300), "\n".join(EN * 300) + "\n\nmore\nand more\n\n\n"
    first, second = (persian, english) if persian_first else (english, persian)
    error = fault(tmp_path, first, second)
    assert error.code == "data.aligned_lengths"
    counts = (error.details["first_lines"], error.details["second_lines"])
    assert counts == ((900, 903) if persian_first else (903, 900))
    assert (error.details["row"], error.details["file"]) == (901, "two.txt" if persian_first else "one.txt")
    assert "۹۰۳" in explain("fa", error)


@pytest.mark.parametrize(
    ("first", "second", "code"),
    [
        ("\n".join(EN), "\n".join(EN), "data.aligned_languages"),
        ("\n".join(FA), "\n".join(FA), "data.aligned_languages"),
        ("\n".join(FA), " \n\n", "data.aligned_lengths"),
        ("\n".join(FA), "", "data.file_empty"),
        ("\n".join(FA), "%PDF-1.7", "data.other_format"),
    ],
)
def test_files_that_are_no_such_two(tmp_path: Path, first: str, second: str, code: str) -> None:
    assert fault(tmp_path, first, second).code == code


@pytest.mark.parametrize("count", [1, 3])
def test_there_are_two_files(tmp_path: Path, count: int) -> None:
    files = [write(tmp_path, f"{number}.txt", FA[0]) for number in range(count)]
    with pytest.raises(StudioError) as caught:
        bring(tmp_path, *files)
    assert (caught.value.code, caught.value.details["count"]) == ("data.aligned_two", count)


def test_a_file_that_breaks_off_names_its_line(tmp_path: Path) -> None:
    cut = pack("\n".join(f"{line} {number}" for number, line in enumerate(EN * 400)).encode(), ".gz")[:-20]
    files = [write(tmp_path, "a.txt", "\n".join(FA * 400)), write(tmp_path, "b.txt.gz", cut)]
    with pytest.raises(StudioError) as caught:
        bring(tmp_path, *files)
    assert (caught.value.code, caught.value.details["file"]) == ("data.truncated", "b.txt.gz")
    assert caught.value.details["row"] >= 1


def test_an_encoding_that_was_accepted_holds_for_both(tmp_path: Path) -> None:
    old = write(tmp_path, "a.txt", "\n".join(FA * 9).replace("ی", "ي").encode("windows-1256"))
    english = write(tmp_path, "b.txt", "\n".join(EN * 9))
    with pytest.raises(StudioError) as caught:
        bring(tmp_path, old, english)
    assert caught.value.code == "data.encoding"
    assert bring(tmp_path, old, english, encoding="windows-1256").encoding == "windows-1256"


def test_memory_does_not_grow_with_the_files(tmp_path: Path) -> None:
    files = [write(tmp_path, "a", "سلام دنیا " * 50 + "\n" + ("سلام دنیا " * 50 + "\n") * 12_000),
             write(tmp_path, "b", ("hello world " * 50 + "\n") * 12_001)]  # fmt: skip
    tracemalloc.start()
    with Aligned(files) as rows:
        count = sum(1 for _ in rows)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (count, sum(file.stat().st_size for file in files) > 17e6) == (12_001, True)
    assert peak < 12e6
