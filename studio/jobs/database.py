"""One SQLite file in WAL mode, opened by the app, the workers and the command line at once."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, create_engine, event
from sqlalchemy.engine import Engine
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import ConnectionPoolEntry

from studio.errors import StudioError
from studio.jobs.migrations import migrate

BUSY_SECONDS = 30.0
"""How long a page or a command waits for a lock that somebody else holds."""
PATIENT_SECONDS = 600.0
"""How long a worker waits: hours of work are worth more than minutes."""


class Database:
    """Transactions on ``studio.db``: `reading` sees one moment, `writing` holds the only write lock from its start.

    Args:
        path: The file, made when missing.
        patience: Seconds to wait while another program holds the lock.
    """

    def __init__(self, path: Path, patience: float = BUSY_SECONDS) -> None:
        self._patience = patience
        self._engine = _engine(path, patience)
        with self.writing() as connection:
            migrate(connection)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A read transaction.

        Raises:
            StudioError: ``database.locked`` after the patience given.
        """
        with _saying_if_locked(self._patience), self._engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A write transaction that waits its turn now, so that what it reads cannot change before it writes.

        Raises:
            StudioError: ``database.locked`` after the patience given.
        """
        with (
            _saying_if_locked(self._patience),
            self._engine.connect().execution_options(immediate=True) as connection,
            connection.begin(),
        ):
            yield connection

    def close(self) -> None:
        """Let go of the file."""
        self._engine.dispose()


@contextmanager
def _saying_if_locked(patience: float) -> Iterator[None]:
    try:
        yield
    except (OperationalError, sqlite3.OperationalError) as error:
        raised = error.orig if isinstance(error, OperationalError) else error
        code = getattr(raised, "sqlite_errorcode", 0) & 0xFF  # the rest is an extended code
        if code not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise
        raise StudioError("database.locked", seconds=round(patience)) from error


def _engine(path: Path, patience: float) -> Engine:
    # While a lock is waited for, every thread of the pages may hold a connection: 15, the default, would run out.
    engine = create_engine(
        f"sqlite+pysqlite:///{path}", max_overflow=-1, connect_args={"timeout": patience, "check_same_thread": False}
    )

    @event.listens_for(engine, "connect")
    def _configure(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
        # The driver's own implicit BEGIN is deferred and would let two claimers read the same queue.
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout={round(patience * 1000)}")
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=NORMAL")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        immediate = connection.get_execution_options().get("immediate", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")

    return engine
