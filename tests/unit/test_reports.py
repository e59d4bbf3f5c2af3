"""A run's report from what the run left behind: each stage's own share, English held to the base, answers in order."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from studio.__main__ import app
from studio.i18n import say
from studio.jobs.events import HeldOutRow, MetricRow
from studio.jobs.store import NewJob
from studio.recipes import dump_recipe, preset_recipe
from studio.services import reports, training
from studio.services.studio import Studio, open_studio
from studio.settings import Settings
from studio.ui.report_views import panel, report_view

RUN = "recommended-1"


def measured(stage: int, language: str, bits: float, step: int = 0) -> HeldOutRow:
    return HeldOutRow(stage, step, language, bits, 1.0, 10, 20, 1.0)


HELD_OUT = [
    measured(-1, "fa", 2.0), measured(-1, "en", 1.5),
    measured(0, "fa", 1.9), measured(0, "en", 1.5),
    measured(2, "fa", 1.7), measured(2, "en", 1.6), measured(2, "fa", 1.4), measured(2, "en", 1.53),
]  # fmt: skip


@pytest.fixture
def studio(tmp_path: Path) -> Studio:
    """A workspace with a run of three stages, the last of which was stopped before its end."""
    studio = open_studio(Settings(tmp_path))
    folder = studio.settings.runs / RUN
    folder.mkdir(parents=True)
    recipe = preset_recipe("recommended")
    (folder / "recipe.yaml").write_text(dump_recipe(recipe), encoding="utf8")
    (folder / "environment.json").write_text(json.dumps({"base_sha256": "ab12", "versions": {"torch": "2.13"}}))
    for at, (name, tokens, seconds) in enumerate([("align", 100, 4.0), ("pretrain", 250, 10.0)]):
        place = folder / "stages" / f"{at:02d}-{name}"
        place.mkdir(parents=True)
        counts = {"tokens": tokens, "characters": 3 * tokens, "seconds": seconds}
        (place / "progress.json").write_text(json.dumps(counts))
    for stage, step, tokens in [(0, 1, 60), (0, 2, 100), (1, 1, 250), (2, 1, 300), (2, 2, 330)]:
        loss = 3.0 - stage - step / 10
        studio.metrics.add(
            RUN, MetricRow(stage, step, 1.0, loss, None, None, None, tokens, 3 * tokens, None, None, None)
        )
    said = [(0, 0, "قدیم"), (0, 1, "میانه"), (0, 2, "یک"), (1, 1, "دو")]
    lines = [json.dumps({"stage": at, "step": step, "prompt": "سلام", "answer": text}) for at, step, text in said]
    (folder / "samples.jsonl").write_text("\n".join(lines) + "\n", encoding="utf8")
    return studio


def made(studio: Studio) -> reports.Report:
    rows = studio.metrics.newest_of_stages(RUN)
    return reports.make_report(training.get(studio, RUN), studio.settings.runs / RUN, rows, HELD_OUT)


def test_each_stage_tells_its_own_share(studio: Studio) -> None:
    report = made(studio)
    assert [(each.steps, each.tokens, each.characters) for each in report.stages] == [
        (2, 100, 300), (1, 150, 450), (2, 80, 240)
    ]  # fmt: skip
    assert [each.seconds for each in report.stages] == [4.0, 6.0, None]
    assert [each.finished for each in report.stages] == [True, True, False]
    assert [each.loss for each in report.stages] == pytest.approx([2.8, 1.9, 0.8])


def test_english_is_held_to_the_base_and_the_newest_measurement_counts(studio: Studio) -> None:
    report = made(studio)
    assert report.base_bits == {"fa": 2.0, "en": 1.5}
    assert [each.bits_per_byte.get("fa") for each in report.stages] == [1.9, None, 1.4]
    assert [each.english_change for each in report.stages] == [0.0, None, pytest.approx(0.02)]
    assert report.english_is_kept is False, "the recipe allows one per cent"
    assert reports.of_run(studio, RUN).english_is_kept is None, "what was not measured is not judged"


def test_answers_stand_side_by_side(studio: Studio) -> None:
    (answers,) = made(studio).answers
    assert (answers.before, dict(answers.after)) == ("قدیم", {0: "یک", 1: "دو"})


def test_the_card_says_what_is_known_and_no_more(studio: Studio) -> None:
    shown = report_view("fa", made(studio))
    assert say("fa", "report.column.bits_en") in shown
    assert say("fa", "report.english_lost") in shown
    assert "۲٫۰۰٪" in shown
    assert "قدیم" in shown
    assert "ab12" in shown
    plain = report_view("en", reports.of_run(studio, RUN))
    assert say("en", "report.column.bits_en") not in plain
    assert say("en", "report.column.english") not in plain
    assert panel("en", studio, RUN) == "", "a run that is not done has no report yet"
    job = studio.jobs.add(NewJob("train", RUN, {"run": RUN}, run=RUN))
    studio.jobs.finish(job, "done", result={"seconds": 61.0, "peak_memory_bytes": 2_000_000_000})
    assert say("en", "units.gb", value="2") in panel("en", studio, "")


def test_the_command_tells_the_same(studio: Studio, capfd: pytest.CaptureFixture[str]) -> None:
    words = ["report", f"run:{RUN}", "--json", "--workspace", str(studio.settings.workspace)]
    assert CliRunner().invoke(app, words).exit_code == 0
    report = json.loads(capfd.readouterr().out)
    assert report["answers"] == [{"prompt": "سلام", "before": "قدیم", "after": {"align": "یک", "pretrain": "دو"}}]
    assert [each["tokens"] for each in report["stages"]] == [100, 150, 80]
    assert report["environment"]["base_sha256"] == "ab12"
    assert report["english_is_kept"] is None
