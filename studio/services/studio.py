"""One open studio: its folders, its jobs and the Hub token that lives in memory only."""

from __future__ import annotations

from dataclasses import dataclass, replace

from studio import workspace
from studio.auth import OWNER, VISITOR, Caller
from studio.jobs.alarms import AlarmStore
from studio.jobs.database import Database
from studio.jobs.held_out import HeldOutStore
from studio.jobs.history import HistoryStore
from studio.jobs.lease import Leases
from studio.jobs.local import LocalRunner
from studio.jobs.metrics import MetricStore
from studio.jobs.process import is_alive
from studio.jobs.queue import Queue
from studio.jobs.run_notes import RunNoteStore
from studio.jobs.shares import ShareStore
from studio.jobs.store import JobStore
from studio.jobs.votes import VoteStore
from studio.settings import Settings
from studio.vault import Vault


@dataclass(frozen=True)
class Studio:
    """What every service is given first, and for whom it was opened."""

    settings: Settings
    jobs: JobStore
    queue: Queue
    metrics: MetricStore
    held_out: HeldOutStore
    alarms: AlarmStore
    leases: Leases
    vault: Vault
    shares: ShareStore
    history: HistoryStore
    run_notes: RunNoteStore
    votes: VoteStore
    caller: Caller = OWNER

    def for_visitors(self) -> Studio:
        """The same studio as a visitor meets it: services refuse all but what is for everyone."""
        return replace(self, caller=VISITOR)


def open_studio(settings: Settings) -> Studio:
    """Open the workspace of `settings`, making what is missing.

    Raises:
        StudioError: ``workspace.not_writable`` or ``disk.full``.
    """
    workspace.prepare(settings)
    database = Database(settings.database)
    store = JobStore(database)
    vault = Vault()
    return Studio(
        settings=settings,
        jobs=store,
        queue=Queue(store, LocalRunner(settings), lambda: vault.token),
        metrics=MetricStore(database),
        held_out=HeldOutStore(database),
        alarms=AlarmStore(database),
        leases=Leases(database, is_alive),
        vault=vault,
        shares=ShareStore(database),
        history=HistoryStore(database),
        run_notes=RunNoteStore(database),
        votes=VoteStore(database),
    )
