"""The tables of ``studio.db``, grown by an append-only list of steps whose names are kept in a table."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection, text


def m001_jobs(connection: Connection) -> None:
    """One row per job.

    `lane` is ``device`` for work that needs the processor or GPU alone, else ``light``; `after` is a JSON list of ids.
    """
    connection.execute(
        text("""
        CREATE TABLE jobs (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            kind TEXT NOT NULL, title TEXT NOT NULL, arguments TEXT NOT NULL, lane TEXT NOT NULL,
            run TEXT, after TEXT NOT NULL DEFAULT '[]', needs_token INTEGER NOT NULL DEFAULT 0,
            state TEXT NOT NULL, position INTEGER NOT NULL, stop_requested INTEGER NOT NULL DEFAULT 0,
            created REAL NOT NULL, spawned REAL, started REAL, finished REAL, heartbeat REAL,
            pid INTEGER, pid_started REAL, attempts INTEGER NOT NULL DEFAULT 0,
            progress REAL NOT NULL DEFAULT 0, progress_origin REAL, progress_since REAL, note TEXT,
            result TEXT, error TEXT
        )""")
    )
    connection.execute(text("CREATE INDEX jobs_state ON jobs (state, position)"))
    connection.execute(text("CREATE INDEX jobs_run ON jobs (run)"))


def m002_metrics(connection: Connection) -> None:
    """One row per optimizer step, typed, read after the last row seen."""
    connection.execute(
        text("""
        CREATE TABLE metrics (
            id INTEGER PRIMARY KEY AUTOINCREMENT, run TEXT NOT NULL,
            stage INTEGER NOT NULL, step INTEGER NOT NULL, time REAL NOT NULL,
            loss REAL, grad_norm REAL, grad_norm_new REAL, learning_rate REAL,
            tokens INTEGER NOT NULL, characters INTEGER NOT NULL,
            tokens_per_second REAL, characters_per_second REAL, memory INTEGER
        )""")
    )
    connection.execute(text("CREATE INDEX metrics_run ON metrics (run, id)"))
    # A resumed run replaces the rows after its checkpoint: without this index each step would scan the whole run.
    connection.execute(text("CREATE INDEX metrics_step ON metrics (run, stage, step)"))


def m003_lease(connection: Connection) -> None:
    """Who holds the device: a job or the chat; identity is pid and start time, since pids are reused."""
    connection.execute(
        text("""
        CREATE TABLE leases (
            device TEXT PRIMARY KEY, holder TEXT NOT NULL, title TEXT NOT NULL,
            pid INTEGER NOT NULL, pid_started REAL NOT NULL, since REAL NOT NULL
        )""")
    )


def m004_live(connection: Connection) -> None:
    """Energy beside the metrics of a step; held-out figures; alarms."""
    connection.execute(text("ALTER TABLE metrics ADD COLUMN energy REAL"))
    connection.execute(
        text("""
        CREATE TABLE held_out (
            id INTEGER PRIMARY KEY AUTOINCREMENT, run TEXT NOT NULL,
            stage INTEGER NOT NULL, step INTEGER NOT NULL, language TEXT NOT NULL,
            bits_per_byte REAL NOT NULL, loss REAL NOT NULL, tokens INTEGER NOT NULL, bytes INTEGER NOT NULL,
            time REAL NOT NULL
        )""")
    )
    connection.execute(text("CREATE INDEX held_out_step ON held_out (run, stage, step)"))
    connection.execute(
        text("""
        CREATE TABLE alarms (
            id INTEGER PRIMARY KEY AUTOINCREMENT, run TEXT NOT NULL,
            stage INTEGER NOT NULL, step INTEGER NOT NULL, kind TEXT NOT NULL, time REAL NOT NULL,
            details TEXT NOT NULL
        )""")
    )
    connection.execute(text("CREATE INDEX alarms_step ON alarms (run, stage, step)"))


def m005_shares(connection: Connection) -> None:
    """What visitors may talk to and look at."""
    connection.execute(
        text("""
        CREATE TABLE shares (
            kind TEXT NOT NULL, name TEXT NOT NULL, since REAL NOT NULL, PRIMARY KEY (kind, name)
        )""")
    )


def m006_run_notes(connection: Connection) -> None:
    """What the owner calls a run, and a note about it; both may be empty."""
    connection.execute(
        text("""
        CREATE TABLE run_notes (
            run TEXT PRIMARY KEY, title TEXT NOT NULL DEFAULT '', note TEXT NOT NULL DEFAULT ''
        )""")
    )


def m007_diary(connection: Connection) -> None:
    """What happened to a run, apart from its alarms: begun, stopped, lost, begun again."""
    connection.execute(
        text("""
        CREATE TABLE diary (
            id INTEGER PRIMARY KEY AUTOINCREMENT, run TEXT NOT NULL, time REAL NOT NULL, kind TEXT NOT NULL,
            details TEXT NOT NULL
        )""")
    )
    connection.execute(text("CREATE INDEX diary_run ON diary (run, id)"))


def m008_votes(connection: Connection) -> None:
    """Blind votes, one row per pair of models over one base that a vote says something about."""
    connection.execute(
        text("""
        CREATE TABLE votes (
            id INTEGER PRIMARY KEY AUTOINCREMENT, time REAL NOT NULL, base TEXT NOT NULL,
            first TEXT NOT NULL, second TEXT NOT NULL, winner TEXT NOT NULL, prompt TEXT NOT NULL
        )""")
    )


def m009_kills(connection: Connection) -> None:
    """How many processes the system had ended for want of memory when a job was last alive."""
    connection.execute(text("ALTER TABLE jobs ADD COLUMN kills INTEGER"))


MIGRATIONS: tuple[Callable[[Connection], None], ...] = (
    m001_jobs, m002_metrics, m003_lease, m004_live, m005_shares, m006_run_notes, m007_diary,
    m008_votes, m009_kills,
)  # fmt: skip


def migrate(connection: Connection) -> None:
    """Apply what is missing; the caller holds the write transaction, so two processes never apply a step twice."""
    connection.execute(text("CREATE TABLE IF NOT EXISTS migrations (name TEXT PRIMARY KEY)"))
    applied = set(connection.execute(text("SELECT name FROM migrations")).scalars())
    for step in MIGRATIONS:
        if step.__name__ not in applied:
            step(connection)
            connection.execute(text("INSERT INTO migrations (name) VALUES (:name)"), {"name": step.__name__})
