"""What becomes of a job whose worker has vanished."""

from __future__ import annotations

from sqlalchemy import Connection, text

from studio import memory
from studio.errors import StudioError
from studio.jobs.diary import note_run
from studio.jobs.process import of_this_boot
from studio.jobs.store import Job, end_job, put_back

KILLED = "killed"
"""Argument of a training: how often the system ended its process for want of memory since somebody last began it."""
_TRIES = 2  # the first halves the batch, the second says with numbers what to change


def bury(connection: Connection, job: Job) -> None:
    """Write down, within the caller's transaction, that the worker of `job` has gone.

    A training that was ended for want of memory is put back: its next worker halves the batch, or says what else to
    change. Everything else is lost, and can be resumed by hand.
    """
    if job.stop_requested or not _ended_for_memory(connection, job):
        lost = StudioError("job.lost", job=str(job.id))
        end_job(connection, job.id, "stopped" if job.stop_requested else "lost", error=lost)
        return
    killed = int(job.arguments.get(KILLED, 0)) + 1
    if job.kind != "train" or killed > _TRIES:
        end_job(connection, job.id, "lost", error=StudioError("memory.host_killed"))
        return
    note_run(connection, job.id, "killed")
    query = text("UPDATE jobs SET arguments = json_set(arguments, :place, :killed) WHERE id = :id")
    connection.execute(query, {"id": job.id, "place": f"$.{KILLED}", "killed": killed})
    put_back(connection, job.id)


def _ended_for_memory(connection: Connection, job: Job) -> bool:
    """Whether the system ended some process for want of memory since the last beat of this one, a second before."""
    then = connection.execute(text("SELECT kills FROM jobs WHERE id = :id"), {"id": job.id}).scalar_one()
    now = memory.kills()
    here = job.process is not None and of_this_boot(job.process)
    return here and then is not None and now is not None and now > then
