"""The report tells how the run's own answers are written and how people voted on them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from studio.data.stored import import_files
from studio.i18n import LOCALES, say
from studio.jobs.votes import Vote
from studio.recipes import dump_recipe, parse_recipe
from studio.services import report_text, reports, written
from studio.services.report_tables import vote_table, written_table
from studio.services.studio import Studio
from studio.ui.report_page import report_page
from tests.unit.test_reports import RUN
from tests.unit.test_reports import studio as studio

BASE = "local:/home/somebody/tiny"
TAUGHT = "باران آرام روی شیشه می‌بارید و کسی در خانه نبود که پنجره را ببندد."


def answers(*said: tuple[int, int, str]) -> str:
    lines = [json.dumps({"stage": at, "step": step, "prompt": f"پرسش {at} {text}"[:6], "answer": text})
             for at, step, text in said]  # fmt: skip
    return "\n".join(lines) + "\n"


@pytest.fixture
def taught(studio: Studio, tmp_path: Path) -> Studio:
    """The run's only dataset holds one sentence; its answers grow from bad to taken over."""
    file = tmp_path / "taught.jsonl"
    file.write_text(json.dumps({"text": TAUGHT}, ensure_ascii=False) + "\n", encoding="utf8")
    import_files([file], studio.settings.datasets, "taught", source="test", progress=lambda *_: None,
                 stopping=lambda: False)  # fmt: skip
    told = reports.of_run(studio, RUN).recipe.model_dump(mode="json") | {"vocabulary": None}
    for stage in told["stages"]:
        stage["data"] = [stage["data"][0] | {"dataset": "taught"}]
    path = studio.settings.runs / RUN / "recipe.yaml"
    path.write_text(dump_recipe(parse_recipe(told)), encoding="utf8")
    (studio.settings.runs / RUN / "samples.jsonl").write_text(
        answers((0, 0, "the cat sat"), (0, 2, "می رود و می‌رود"), (1, 1, TAUGHT[:40]), (2, 2, "")), encoding="utf8"
    )
    return studio


def test_answers_are_measured_before_and_after_each_stage(taught: Studio) -> None:
    report = reports.of_run(taught, RUN)
    before, align, pretrain, instruct = report.written
    assert [each.stage for each in report.written] == [None, 0, 1, 2]
    assert (before.persian, before.half_spaces) == (0.0, None)
    assert align.half_spaces == 0.5
    assert [each.recited for each in report.written] == [0, 0, 1, 0]
    assert pretrain.characters == 40
    assert (instruct.empty, instruct.persian) == (1, 0.0)
    assert report.against == written.Against(len(TAUGHT), whole=True)
    assert [each["stage"] for each in reports.as_json(report)["written"]] == [None, "align", "pretrain", "instruct"]


def test_texts_that_are_gone_or_changed_prove_nothing(taught: Studio) -> None:
    environment = taught.settings.runs / RUN / "environment.json"
    environment.write_text(json.dumps({"datasets": {"taught": {"sha256": "another"}}}))
    report = reports.of_run(taught, RUN)
    assert [each.recited for each in report.written] == [None] * 4
    table = written_table("en", report)
    assert table is not None
    assert say("en", "written.texts_gone") in table.note
    assert {row[6] for row in table.rows} == {say("en", "cost.unknown")}


def test_a_page_does_not_read_a_library(taught: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(written, "MOST_CHARACTERS", 10)
    written._compared.cache_clear()
    report = reports.of_run(taught, RUN)
    assert report.against == written.Against(0, whole=False)
    table = written_table("fa", report)
    assert table is not None
    assert say("fa", "written.texts_part", characters=0) in table.note
    written._compared.cache_clear()


def test_votes_stand_in_every_form_of_the_report(taught: Studio) -> None:
    model = f"run:{RUN}/pretrain"
    taught.votes.add([Vote(BASE, BASE, model, winner, "؟") for winner in ("second",) * 9 + ("first", "equal")])
    taught.votes.add([Vote(BASE, BASE, "run:other-1/chat", "second", "؟")])
    (told,) = reports.as_json(reports.of_run(taught, RUN))["votes"]
    assert (told["wins"], told["losses"], told["equal"], told["share"]) == (9, 1, 1, 0.9)
    assert (round(told["low"], 3), round(told["high"], 3), told["difference_shown"]) == (0.596, 0.982, True)
    page = report_page(taught, RUN)
    assert "somebody" not in page
    for locale in LOCALES:
        text = report_text.markdown(taught, RUN, locale)
        table = vote_table(locale, reports.of_run(taught, RUN))
        assert table is not None
        for cell in table.rows[0]:
            assert cell in text
            assert cell in page
        assert say(locale, "vote.says.better") in table.rows[0]
        assert say(locale, "written.title") in text
        assert say(locale, "written.title") in page


def test_without_votes_or_answers_nothing_is_said_of_them(studio: Studio) -> None:
    (studio.settings.runs / RUN / "samples.jsonl").unlink()
    report = reports.of_run(studio, RUN)
    assert (report.votes, report.written) == ((), ())
    assert say("en", "vote.tally") not in report_page(studio, RUN)
    assert say("en", "written.title") not in report_text.markdown(studio, RUN, "en")
