"""One open studio: its folders, its jobs and the Hub token that lives in memory only."""

from __future__ import annotations

from dataclasses import dataclass, field

from studio import workspace
from studio.jobs.alarms import AlarmStore
from studio.jobs.database import Database
from studio.jobs.held_out import HeldOutStore
from studio.jobs.lease import Leases
from studio.jobs.local import LocalRunner
from studio.jobs.metrics import MetricStore
from studio.jobs.process import is_alive
from studio.jobs.queue import Queue
from studio.jobs.store import JobStore
from studio.settings import Settings


@dataclass
class Vault:
    """Holds the Hub token of this process; it is never written anywhere."""

    token: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Studio:
    """What every service is given first."""

    settings: Settings
    jobs: JobStore
    queue: Queue
    metrics: MetricStore
    held_out: HeldOutStore
    alarms: AlarmStore
    leases: Leases
    vault: Vault


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
    )
