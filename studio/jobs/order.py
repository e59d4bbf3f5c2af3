"""The order of waiting jobs, as a person changes it: never does a job stand before one that it needs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, get_args

from sqlalchemy import Connection, text

from studio.errors import StudioError
from studio.jobs.moment import Pending, read_pending
from studio.jobs.process import ProcessIdentity

Way = Literal["up", "down", "first"]
WAYS: tuple[Way, ...] = get_args(Way)


def move(connection: Connection, job: int, way: Way, alive: Callable[[ProcessIdentity], bool]) -> int:
    """Move a waiting job within the caller's write transaction; returns its new place in the queue, from 1.

    Raises:
        StudioError: ``job.not_waiting`` for a job that has begun or ended, or whose worker is just being started;
            ``job.must_follow`` or ``job.must_precede`` naming the `other` job that it may not pass.
    """
    pending = read_pending(connection, alive)
    if not any(each.id == job and not each.starting for each in pending):
        raise StudioError("job.not_waiting", job=str(job))
    ordered = arrange(pending, job, way)
    positions = sorted(each.position for each in pending)
    moved = [
        {"id": each.id, "position": position}
        for each, position in zip(ordered, positions, strict=True)
        if each.position != position
    ]
    if moved:
        connection.execute(text("UPDATE jobs SET position = :position WHERE id = :id"), moved)
    return 1 + next(place for place, each in enumerate(ordered) if each.id == job)


def arrange(pending: Sequence[Pending], job: int, way: Way) -> list[Pending]:
    """`pending` with `job` one place up or down, or as far to the front as what it needs allows.

    A job that is at its end of the queue already stays there.

    Raises:
        StudioError: ``job.must_follow`` or ``job.must_precede``, if it cannot move at all.
    """
    ordered = list(pending)
    place = next(at for at, each in enumerate(ordered) if each.id == job)
    moving = ordered.pop(place)
    if way == "down":
        if place < len(ordered) and job in ordered[place].after:
            raise StudioError("job.must_precede", job=moving.title, other=ordered[place].title)
        ordered.insert(min(place + 1, len(ordered)), moving)
        return ordered
    if place and ordered[place - 1].id in moving.after:
        raise StudioError("job.must_follow", job=moving.title, other=ordered[place - 1].title)
    goal = max(place - 1, 0) if way == "up" else 0
    needed = [at for at, each in enumerate(ordered[:place]) if each.id in moving.after]
    ordered.insert(max([goal, *(at + 1 for at in needed)]), moving)
    return ordered
