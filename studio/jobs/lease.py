"""The lease of the device: training, evaluation and chat never compete for it, and whoever waits knows for whom."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection, text

from studio.errors import StudioError
from studio.jobs.database import Database
from studio.jobs.process import ProcessIdentity

DEVICE = "device"


@dataclass(frozen=True, slots=True)
class Lease:
    """Who holds the device: ``job:3`` or ``chat``; `title` is what a page calls it."""

    holder: str
    title: str
    process: ProcessIdentity
    since: float


def read_lease(connection: Connection, alive: Callable[[ProcessIdentity], bool]) -> Lease | None:
    """The lease, or None; one whose process is gone does not count."""
    row = (
        connection.execute(text("SELECT * FROM leases WHERE device = :device"), {"device": DEVICE}).mappings().first()
    )
    if row is None:
        return None
    lease = Lease(row["holder"], row["title"], ProcessIdentity(row["pid"], row["pid_started"]), row["since"])
    return lease if alive(lease.process) else None


def write_lease(connection: Connection, holder: str, title: str, process: ProcessIdentity) -> None:
    """Give the device to `holder` within the caller's write transaction, which has looked before."""
    connection.execute(
        text("INSERT OR REPLACE INTO leases VALUES (:device, :holder, :title, :pid, :started, :since)"),
        {
            "device": DEVICE,
            "holder": holder,
            "title": title,
            "pid": process.pid,
            "started": process.started,
            "since": time.time(),
        },
    )


class Leases:
    """Takes and gives back the device for work that is not a job, such as a chat."""

    def __init__(self, database: Database, alive: Callable[[ProcessIdentity], bool]) -> None:
        self._database = database
        self._alive = alive

    def current(self) -> Lease | None:
        """Who holds the device now."""
        with self._database.reading() as connection:
            return read_lease(connection, self._alive)

    def take(self, holder: str, title: str, process: ProcessIdentity) -> None:
        """Take the device, or keep it when `holder` has it already.

        Raises:
            StudioError: ``device.busy`` with the `title` of who has it.
        """
        with self._database.writing() as connection:
            lease = read_lease(connection, self._alive)
            if lease is not None and lease.holder != holder:
                raise StudioError("device.busy", title=lease.title, holder=lease.holder)
            write_lease(connection, holder, title, process)

    def give_back(self, holder: str) -> None:
        """Let the next one have the device."""
        with self._database.writing() as connection:
            connection.execute(text("DELETE FROM leases WHERE holder = :holder"), {"holder": holder})
