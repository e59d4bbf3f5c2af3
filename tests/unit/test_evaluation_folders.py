"""A deleted run takes its evaluations along, and the question says so; those of its base and of other runs stay."""

from __future__ import annotations

import pytest

from studio.errors import StudioError
from studio.i18n import LOCALES, say
from studio.jobs.store import NewJob
from studio.services import evaluation_folders, evaluations, history
from studio.services.studio import Studio
from studio.ui.history_views import delete_view
from tests.unit.test_report_files import BASE, answered
from tests.unit.test_reports import RUN
from tests.unit.test_reports import studio as studio

OTHER = f"run:{RUN}0"


@pytest.fixture
def evaluated(studio: Studio) -> Studio:
    for model in (BASE, f"run:{RUN}", f"run:{RUN}/align", f"run:{RUN}/align@7", OTHER):
        answered(studio, model, 6, None)
    begun = studio.settings.evaluations / "begun"
    begun.mkdir()
    job = studio.jobs.add(NewJob("evaluate", "quick", {"id": begun.name, "order": {}}, run=RUN))
    studio.jobs.finish(job, "failed")
    return studio


def test_the_runs_own_go_and_the_others_stay(evaluated: Studio) -> None:
    assert len(evaluation_folders.of_run(evaluated, RUN)) == 4
    history.delete(evaluated, RUN)
    assert {each.order.model for each in evaluations.listing(evaluated)} == {BASE, OTHER}
    assert len(list(evaluated.settings.evaluations.iterdir())) == 2


def test_a_run_that_may_not_go_keeps_them(evaluated: Studio) -> None:
    evaluated.shares.put("report", [RUN])
    with pytest.raises(StudioError, match="used_by_share"):
        history.delete(evaluated, RUN)
    assert len(evaluation_folders.of_run(evaluated, RUN)) == 4


def test_one_that_is_still_asked_holds_the_run(evaluated: Studio) -> None:
    evaluated.jobs.add(NewJob("evaluate", "quick", {"id": "now", "order": {"model": f"run:{RUN}"}}, run=RUN))
    with pytest.raises(StudioError, match="used_by_job"):
        history.delete(evaluated, RUN)


@pytest.mark.parametrize("locale", LOCALES)
def test_the_question_counts_them(evaluated: Studio, locale: str) -> None:
    run = history.get(evaluated, RUN)
    told = say(locale, "history.delete_evaluations", evaluations=4)
    assert told in delete_view(locale, run, 1, 4)
    assert say(locale, "history.delete_evaluations", evaluations=0) not in delete_view(locale, run, 1, 0)
