"""The jobs tab without a browser: what its panels show and its buttons do, in both languages, few jobs or many."""

from __future__ import annotations

import time
from html import unescape
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from studio.errors import StudioError
from studio.i18n import LOCALES, explain, say
from studio.jobs.events import MetricRow
from studio.jobs.process import current_process
from studio.jobs.store import Job, NewJob
from studio.services import jobs
from studio.services.studio import Studio, open_studio
from studio.settings import Settings
from studio.ui import jobs_tab
from studio.ui.jobs_views import PAGE, SHOWN, ended_view, history_view, job_number, job_view, possible, queue_view


class Nobody:
    """A place where no worker ever starts."""

    def start(self, job: Job, token: str | None) -> None:
        return None

    def alive(self, process: Any) -> bool:
        return True

    def kill(self, process: Any) -> None:
        return None


@pytest.fixture
def studio(tmp_path: Path) -> Studio:
    opened = open_studio(Settings(tmp_path / "workspace"))
    opened.queue._runner = Nobody()  # type: ignore[assignment]
    return opened


def add(studio: Studio, title: str, *after: int, lane: Any = "device") -> int:
    return studio.jobs.add(NewJob("train", title, {}, lane, title, after))


@pytest.mark.parametrize("locale", LOCALES)
def test_the_queue_says_what_runs_how_fast_and_who_waits_for_whom(
    studio: Studio, locale: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert say(locale, "jobs.queue_empty") in queue_view(locale, studio)
    running, waiting, chained = add(studio, "run-1"), add(studio, "run-2"), add(studio, "run-3", 2)
    studio.queue.claim(running, current_process())
    steady = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: steady)
    studio.jobs.report(running, 0.0, "progress.import.rows")
    steady += 60
    studio.jobs.report(running, 0.25, "progress.import.rows")
    studio.queue.advance()
    shown = unescape(queue_view(locale, studio))
    assert shown.index("run-1") < shown.index("run-2") < shown.index("run-3")
    assert say(locale, "progress.percent", percent=25) in shown
    assert say(locale, "progress.left", time=say(locale, "units.minutes", value=3)) in shown
    assert say(locale, "jobs.rate_share", percent=say(locale, "progress.percent", percent=25)) in shown
    assert say(locale, "jobs.waits_for", title="run-1") in shown
    after = say(locale, "jobs.after", titles=say(locale, "jobs.quoted", title="\u2068run-2\u2069"))
    assert shown.count(after) == 1
    assert after in unescape(job_view(locale, studio, str(chained)))
    studio.metrics.add("run-1", MetricRow(0, 1, 1.0, 2.0, 1.0, None, 1e-4, 10, 30, 512.0, 900.0, 1000))
    assert say(locale, "jobs.rate_tokens", value=512) in unescape(queue_view(locale, studio))
    assert studio.jobs.get(waiting).state == "waiting"


def test_the_history_is_paged_and_the_last_end_comes_first(studio: Studio) -> None:
    for number in range(2 * PAGE + 3):
        studio.jobs.finish(add(studio, f"run-{number}."), "done")
    first, last = history_view("en", studio, "1"), history_view("en", studio, "3")
    assert (first.count("<tr>") - 1, last.count("<tr>") - 1) == (PAGE, 3)
    assert first.index("run-32.") < first.index("run-18.")
    assert "run-2." in last
    assert say("en", "jobs.page_of", page=3, pages=3) in last
    for beyond in ("99", "-1", "0", "x", "", "9" * 50, "²"):
        assert history_view("en", studio, beyond) in (first, last), beyond


def test_one_job_shows_its_log_and_where_to_get_all_of_it(studio: Studio) -> None:
    job = studio.jobs.add(NewJob("import", "<b>name</b>", {}))
    (studio.settings.logs / f"job-{job}.txt").write_text("reading <script>\r99%\nhf_aaaaaaaaaaaaaaaaaaaaa\n")
    studio.jobs.finish(job, "failed", error=StudioError("hub.no_network"))
    shown = job_view("fa", studio, str(job))
    assert f'href="../log/{job}" download' in shown
    assert "99%" in shown
    for hidden in ("hf_aaa", "<script>", "<b>name"):
        assert hidden not in shown
    assert explain("fa", StudioError("hub.no_network")) in unescape(shown)
    assert job_view("fa", studio, "") == ""
    for wrong in ("99", "x", "-1", "9" * 30, "²"):
        with pytest.raises(StudioError, match=r"job\.unknown"):
            job_view("fa", studio, wrong)
    assert job_number(" ۱۲ ") == 12


def test_each_end_has_a_key_and_a_sentence(studio: Studio) -> None:
    ends = []
    for state in ("done", "failed", "lost", "stopped"):
        job = add(studio, f"run-{state}", lane="light")
        studio.queue.claim(job, current_process())
        studio.jobs.finish(job, state)  # type: ignore[arg-type]
        ends.append(job)
    for locale in LOCALES:
        shown = ended_view(locale, studio)
        for job in ends:
            assert f'data-end="{job}-1"' in shown
            assert jobs.ended_text(locale, studio.jobs.get(job)) in unescape(shown)
    studio.queue.resume(ends[1])
    studio.queue.claim(ends[1], current_process())
    studio.jobs.finish(ends[1], "done")
    assert f'data-end="{ends[1]}-2"' in ended_view("en", studio), "the second end of a job is told again"


def test_what_can_be_done_follows_from_the_state(studio: Studio) -> None:
    job = add(studio, "run", lane="light")

    def can() -> set[str]:
        return {name for name, able in possible(studio.jobs.get(job)).items() if able}

    assert can() == {"up", "down", "first", "cancel"}
    studio.queue.claim(job, current_process())
    assert can() == {"stop"}
    jobs.stop(studio, job)
    assert can() == {"end"}, "a job is ended by force only after it was asked to stop"
    jobs.end_now(studio, job)
    assert can() == {"resume"}
    jobs.resume(studio, job)
    studio.queue.claim(job, current_process())
    studio.jobs.finish(job, "done")
    assert can() == set()
    assert not any(possible(None).values())


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    said: list[str] = []
    monkeypatch.setattr(gr, "Info", lambda text, **_: said.append(text))
    return said


@pytest.mark.parametrize("locale", LOCALES)
def test_the_buttons_do_what_they_say_and_say_so(studio: Studio, locale: str, told: list[str]) -> None:
    def do(name: str, job: int) -> None:
        jobs_tab._do(locale, studio, name, job)

    busy, first, second = (add(studio, f"run-{number}") for number in (1, 2, 3))
    studio.queue.claim(busy, current_process())
    do("up", second)
    assert [job.id for job in jobs.queue(studio, 9)] == [second, first]
    do("down", second)
    do("first", second)
    do("cancel", first)
    do("stop", busy)
    do("end", busy)
    do("resume", busy)
    steps: list[tuple[str, int, dict[str, Any]]] = [
        ("moved", 3, {"place": 1}), ("moved", 3, {"place": 2}), ("moved", 3, {"place": 1}), ("cancelled", 2, {}),
        ("stopping", 1, {}), ("stopped", 1, {}), ("resumed", 1, {}),
    ]  # fmt: skip
    assert told == [say(locale, f"jobs.{key}", title=f"\u2068run-{job}\u2069", **more) for key, job, more in steps]
    with pytest.raises(StudioError, match=r"job\.not_waiting"):
        do("cancel", first)


def test_many_jobs_make_no_long_page(studio: Studio) -> None:
    for number in range(SHOWN + 12):
        add(studio, f"run-{number}.")
    shown = queue_view("en", studio)
    assert shown.count("<tr>") - 1 == SHOWN
    assert say("en", "jobs.more", count=12) in shown
    assert len(jobs_tab._choices("fa", jobs_tab._listed(studio))) == SHOWN + 12
