"""The report of a run as files: a page of its own and Markdown, in both languages, with what was evaluated."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner

from studio.__main__ import app
from studio.evaluation import results
from studio.evaluation.results import Evaluation, Figure, Item, Order, TaskResult
from studio.i18n import LOCALES, say
from studio.services import comparisons, evaluations
from studio.services.studio import Studio
from studio.ui.dumbbell import dumbbell
from studio.ui.evaluate_views import results_view
from studio.ui.report_page import report_page
from studio.ui.report_pictures import write_pictures
from tests.unit.test_reports import HELD_OUT, RUN
from tests.unit.test_reports import studio as studio

BASE = "starter:smollm2-135m"
EVIL = "<script>alert(1)</script>"


def answered(studio: Studio, model: str, right: int, contaminated: int | None) -> None:
    """An evaluation of twenty questions, of which the first so many were answered well."""
    items = [Item(f"t/{n}", f"h{n}", float(n < right), "الف", EVIL, "", "پرسش") for n in range(20)]
    folder = studio.settings.evaluations / model.replace(":", "-").replace("/", "-")
    folder.mkdir(parents=True)
    results.write_items(folder, "t", items)
    figure = Figure(right / 20, max(0.0, right / 20 - 0.2), min(1.0, right / 20 + 0.2), 20)
    task = TaskResult("t", "fa", "acc", figure, 0.25, 1.0, contaminated=contaminated)
    order = Order(model, "", "quick", "same")
    results.write(folder, Evaluation(folder.name, order, {"t": task}, 1.0, {}, finished=True))


@pytest.fixture
def evaluated(studio: Studio) -> Studio:
    for row in HELD_OUT:
        studio.held_out.add(RUN, row)
    answered(studio, BASE, 6, None)
    answered(studio, f"run:{RUN}", 18, 2)
    answered(studio, f"run:{RUN}/align", 6, 0)
    answered(studio, "run:another-1", 20, 0)
    return studio


def test_the_page_stands_alone_in_both_languages(evaluated: Studio) -> None:
    page = report_page(evaluated, RUN)
    assert "<script" not in page
    assert "http" not in page.replace("http://www.w3.org", "")
    assert "url(fonts/" not in page
    assert page.count("data:font/woff2;base64,") == 3
    for locale in LOCALES:
        assert f'<section lang="{locale}"' in page
        assert say(locale, "report.title") in page
        assert say(locale, "evaluate.no_difference") in page, "the alignment"
        assert say(locale, "evaluate.contaminated_title") in page
    assert page.count("<polyline") == 2 * 2, "a line for each language on each page"
    assert "another-1" not in page, "other runs have reports of their own"


@pytest.mark.parametrize("locale", LOCALES)
def test_markdown_tells_the_same(evaluated: Studio, locale: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = ["report", RUN, "--out", str(out), "--json", "--workspace", str(evaluated.settings.workspace)]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    pictures = [f"{name}.{each}.svg" for name in ("bits", "suite-quick") for each in ("en", "fa")]
    assert sorted(path.name for path in out.iterdir()) == [*pictures[:2], "report.en.md", "report.fa.md",
                                                           "report.html", *pictures[2:]]  # fmt: skip
    text = (out / f"report.{locale}.md").read_text(encoding="utf8")
    for name in pictures:
        assert (f"]({name})" in text) == (f".{locale}." in name)
    row = next(line for line in text.splitlines() if line.startswith("| `t`"))
    assert say(locale, "evaluate.no_difference") in row
    assert {"en": "better by 60.0%", "fa": "۶۰٫۰٪ بهتر"}[locale] in row
    assert "```yaml" in text
    assert (text.startswith('<div dir="rtl"')) == (locale == "fa")


@pytest.mark.parametrize("locale", LOCALES)
def test_pictures_are_whole_files_in_the_reports_language(evaluated: Studio, locale: str, tmp_path: Path) -> None:
    files = write_pictures(evaluated, RUN, locale, tmp_path)
    assert set(files) == {"bits", "suite:quick"}
    for name in files.values():
        root = ElementTree.parse(tmp_path / name).getroot()
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert [*root][0].tag.endswith("style")
    drawn = ElementTree.parse(tmp_path / files["suite:quick"]).getroot()
    texts = [found.text or "" for found in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert {"en": "t: 30.0% → 90.0%", "fa": "t: ۳۰٫۰٪ → ۹۰٫۰٪"}[locale] in texts, "the base, and the whole run"
    assert {BASE, f"run:{RUN}"} <= {*texts}
    assert "<script" not in (tmp_path / files["suite:quick"]).read_text(encoding="utf8")


def test_one_model_alone_has_no_dumbbell(evaluated: Studio) -> None:
    found = [each for each in evaluations.listing(evaluated) if each.order.model == BASE]
    assert dumbbell("en", comparisons.compare(evaluated, found), [BASE]) == ""
    assert 'class="dumbbell"' not in results_view("en", evaluated, found)
    assert report_page(evaluated, RUN).count('class="dumbbell"') == len(LOCALES)


def test_a_report_that_cannot_be_written_says_so(
    evaluated: Studio, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("", encoding="utf8")
    words = ["report", RUN, "--out", str(tmp_path / "file"), "--json", "--workspace"]
    done = CliRunner().invoke(app, [*words, str(evaluated.settings.workspace)])
    assert done.exit_code == 1
    assert json.loads(capfd.readouterr().out)["error"] == "report.out_not_writable"
