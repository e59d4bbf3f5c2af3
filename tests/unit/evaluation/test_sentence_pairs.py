"""Sentence pairs of one's own: graded ones tell a correlation, bad rows are named, and a suite of them is whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from studio.errors import StudioError
from studio.evaluation.definitions import lay
from studio.evaluation.sentence_pairs import read_pairs
from studio.evaluation.suites import load_suite
from studio.services import evaluations, own_suites
from studio.services.studio import Studio, open_studio
from studio.settings import Settings
from tests.live import command
from tests.tiny import SENTENCES

ROWS = list(zip(SENTENCES[:6], SENTENCES[8:14], (1, 4, 2, "۳٫۵", 3, 1), strict=True))


def table(path: Path, *, graded: bool = True) -> Path:
    lines = ["fa\ten" + "\tscore" * graded]
    lines += ["\t".join(map(str, row if graded else row[:2])).replace("\n", " ") for row in ROWS]
    path.write_text("\n".join(lines) + "\n", encoding="utf8")
    return path


@pytest.fixture
def studio(tmp_path: Path) -> Studio:
    return open_studio(Settings(tmp_path / "workspace"))


def test_grades_are_read_as_people_write_them(tmp_path: Path) -> None:
    found = read_pairs(str(table(tmp_path / "pairs.tsv")))
    assert found.grades == [1, 4, 2, 3.5, 3, 1]
    assert len(found.first(4).texts) == 4
    assert found.first(4).grades == [1, 4, 2, 3.5]
    assert read_pairs(str(table(tmp_path / "plain.tsv", graded=False))).grades is None
    assert read_pairs(None).grades is None


@pytest.mark.parametrize(
    ("text", "code", "row"),
    [
        ("fa\ten\tscore\nسلام\thello\t1\nخوب\tgood\tمتوسط\n", "evaluation.bad_grade", 3),
        ("fa\ten\tscore\nسلام\thello\t1\nخوب\tgood\t\n", "evaluation.bad_grade", 3),
        ("fa\ten\tscore\nسلام\thello\tnan\n", "evaluation.bad_grade", 2),
        ("fa\ten\nسلام\thello\nخوب\t\n", "evaluation.no_pairs", 3),
        ("fa\ten\nسلام\thello\n", "evaluation.no_items", None),
    ],
)
def test_a_bad_row_is_named_and_no_suite_is_made(
    text: str, code: str, row: int | None, studio: Studio, tmp_path: Path
) -> None:
    file = tmp_path / "pairs.tsv"
    file.write_text(text, encoding="utf8")
    with pytest.raises(StudioError) as caught:
        own_suites.add(studio, "mine", file)
    assert (caught.value.code, caught.value.details.get("row")) == (code, row)
    assert "mine" not in evaluations.suites(studio)


def test_a_table_of_graded_pairs_becomes_a_suite_that_tells_the_correlation(tiny_model: Path, tmp_path: Path) -> None:
    workspace, model = tmp_path / "workspace", f"local:{tiny_model}"
    made = command(workspace, "suites", "add", "mine", str(table(tmp_path / "pairs.tsv")))
    assert (made["kind"], made["items"]) == ("graded_pairs", 6)
    task = command(workspace, "evaluate", "--model", model, "--suite", "mine", timeout=180)["tasks"]["own_mine"]
    assert (task["items"], task["chance"]) == (12, pytest.approx(1 / 6))
    figure = task["also"]["spearman"]
    assert figure["items"] == 6
    assert -1 <= figure["low"] <= figure["value"] <= figure["high"] <= 1
    found = command(workspace, "evaluate", "--model", model, "--suite", "quick", "--task", "story_pairs",
                    "--data", f"story_pairs={table(tmp_path / 'other.tsv', graded=False)}", timeout=180)  # fmt: skip
    assert found["tasks"]["story_pairs"]["also"] == {}


def test_pairs_that_went_away_are_not_replaced_by_the_studios_own(
    studio: Studio, tiny_model: Path, tmp_path: Path
) -> None:
    own_suites.add(studio, "mine", table(tmp_path / "pairs.tsv"))
    (studio.settings.suites / "mine" / "items" / "own_mine.jsonl").unlink()
    assert load_suite("mine", studio.settings).tasks[0].kind == "retrieval"
    with pytest.raises(StudioError, match=r"evaluation\.no_data"):
        evaluations.start(studio, f"local:{tiny_model}", "mine")
    assert studio.jobs.listing() == []
    suite, home = load_suite("mine", studio.settings), studio.settings.suites / "mine"
    with pytest.raises(StudioError, match=r"evaluation\.no_data"):
        lay(suite, home, tmp_path, {})
