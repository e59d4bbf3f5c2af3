"""Waiting jobs are put in another order, and never before what they need."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from studio.errors import StudioError
from studio.jobs.database import Database
from studio.jobs.moment import Pending, read_pending
from studio.jobs.order import WAYS, Way, arrange
from studio.jobs.process import current_process, is_alive
from studio.jobs.queue import Queue
from studio.jobs.store import JobStore, NewJob
from tests.unit.jobs.test_queue import NotingRunner


@pytest.fixture
def store(tmp_path: Path) -> Iterator[JobStore]:
    database = Database(tmp_path / "studio.db")
    yield JobStore(database)
    database.close()


def add(store: JobStore, title: str, *after: int) -> int:
    return store.add(NewJob("train", title, {}, lane="device", run=title, after=after))


def order(store: JobStore) -> list[str]:
    return [job.title for job in store.pending(100)]


def test_a_job_moves_up_down_and_to_the_front(store: JobStore) -> None:
    queue = Queue(store, NotingRunner())
    a, b, c = (add(store, title) for title in "abc")
    assert queue.move(c, "up") == 2
    assert order(store) == ["a", "c", "b"]
    assert queue.move(b, "first") == 1
    assert order(store) == ["b", "a", "c"]
    assert queue.move(b, "down") == 2
    assert queue.move(a, "up") == 1, "one that is first already stays"
    assert queue.move(c, "down") == 3
    assert order(store) == ["a", "b", "c"]


def test_who_is_first_after_a_move_is_started_first(store: JobStore) -> None:
    runner = NotingRunner()
    queue = Queue(store, runner)
    busy, first, second = (add(store, title) for title in ("busy", "first", "second"))
    queue.advance()
    queue.claim(busy, current_process())
    queue.move(second, "first")
    store.finish(busy, "done")
    queue.advance()
    assert runner.started == [busy, second]


def test_no_job_passes_one_that_it_needs(store: JobStore) -> None:
    queue = Queue(store, NotingRunner())
    clean = add(store, "clean")
    add(store, "other")
    train = add(store, "train", clean)
    assert queue.move(train, "first") == 2, "as far to the front as it may"
    assert order(store) == ["clean", "train", "other"]
    with pytest.raises(StudioError, match=r"job\.must_follow") as refused:
        queue.move(train, "up")
    assert refused.value.details == {"job": "train", "other": "clean"}
    with pytest.raises(StudioError, match=r"job\.must_precede"):
        queue.move(clean, "down")
    with pytest.raises(StudioError, match=r"job\.must_follow"):
        queue.move(train, "first")
    assert order(store) == ["clean", "train", "other"]


def test_only_waiting_jobs_move(store: JobStore) -> None:
    queue = Queue(store, NotingRunner())
    running, starting, ended, waiting = (add(store, title) for title in ("running", "starting", "ended", "waiting"))
    queue.claim(running, current_process())
    store.finish(ended, "failed")
    for job in (running, ended):
        with pytest.raises(StudioError, match=r"job\.not_waiting"):
            queue.move(job, "first")
    store.finish(running, "done")
    queue.advance()  # starts a worker for the next one
    with pytest.raises(StudioError, match=r"job\.not_waiting"):
        queue.move(starting, "down")
    with pytest.raises(StudioError, match=r"job\.unknown"):
        queue.move(99, "up")
    assert queue.move(waiting, "up") == 1


@some.composite
def chained(draw: some.DrawFn) -> list[Pending]:
    """Jobs each of which may need some of those before it."""
    count = draw(some.integers(1, 8))
    jobs = []
    for number in range(1, count + 1):
        after = draw(some.sets(some.integers(1, number - 1), max_size=3)) if number > 1 else set()
        jobs.append(Pending(number, str(number), "device", tuple(sorted(after)), False, "queued", None, number, False))
    return jobs


@given(chained(), some.lists(some.tuples(some.integers(1, 8), some.sampled_from(WAYS)), max_size=30))
def test_a_dependency_keeps_its_order_under_any_moves(jobs: list[Pending], moves: list[tuple[int, Way]]) -> None:
    ordered = jobs
    for wanted, way in moves:
        job = 1 + wanted % len(jobs)
        before = [each.id for each in ordered]
        try:
            ordered = arrange(ordered, job, way)
        except StudioError as error:
            assert error.code in ("job.must_follow", "job.must_precede")  # noqa: PT017 - a refusal is one outcome
            continue
        places = {each.id: place for place, each in enumerate(ordered)}
        assert sorted(places) == [each.id for each in jobs], "nobody is lost or doubled"
        for each in ordered:
            assert all(places[other] < places[each.id] for other in each.after), (before, job, way)
        rest = [number for number in before if number != job]
        assert [each.id for each in ordered if each.id != job] == rest, "the others keep their order"


@settings(max_examples=25, deadline=None)
@given(some.lists(some.tuples(some.integers(0, 5), some.sampled_from(WAYS)), max_size=8))
def test_the_table_holds_the_order(tmp_path_factory: pytest.TempPathFactory, moves: list[tuple[int, Way]]) -> None:
    database = Database(tmp_path_factory.mktemp("order") / "studio.db")
    store = JobStore(database)
    queue, jobs = Queue(store, NotingRunner()), []
    for number in range(6):
        jobs.append(add(store, str(number), *jobs[-1:] if number % 2 else ()))
    for at, way in moves:
        try:
            place = queue.move(jobs[at], way)
        except StudioError:
            continue
        assert order(store)[place - 1] == str(at)
    with database.reading() as connection:
        found = read_pending(connection, is_alive)
    places = {each.id: place for place, each in enumerate(found)}
    assert len({each.position for each in found}) == 6
    assert all(places[other] < places[each.id] for each in found for other in each.after)
    database.close()
