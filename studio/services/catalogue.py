"""The catalogue of datasets: what it offers, what an import would read, and whether the Hub still has it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from studio.auth import owner_only
from studio.data.catalogue import ROWS, Entry, entries, entry
from studio.data.findings import Finding, read_findings
from studio.errors import StudioError
from studio.jobs.store import ENDED, Job, NewJob
from studio.services.studio import Studio

KIND = "catalogue"


@dataclass(frozen=True, slots=True)
class Offer:
    """A dataset of the catalogue and what the Hub said of it; None if nobody asked yet."""

    entry: Entry
    finding: Finding | None

    @property
    def rows_to_read(self) -> int:
        """Rows that an import reads unless the user asks for more."""
        return min(ROWS, self.entry.rows or ROWS)

    @property
    def bytes_to_read(self) -> int | None:
        """About what that many rows take to download; None where rows or bytes are not known."""
        facts = self.entry
        return round(facts.bytes * self.rows_to_read / facts.rows) if facts.bytes and facts.rows else None

    def as_json(self) -> dict[str, Any]:
        """All facts, with what an import would read and what the Hub said."""
        found = {"state": None, "checked": None} if self.finding is None else self.finding.model_dump()
        return self.entry.model_dump(mode="json") | {"rows_to_read": self.rows_to_read, **found}


@owner_only
def offers(studio: Studio) -> list[Offer]:
    """The catalogue in its order."""
    found = read_findings(studio.settings.findings)
    return [Offer(each, found.get(each.id or "")) for each in entries()]


@owner_only
def offer(studio: Studio, name: str) -> Offer:
    """One dataset of the catalogue.

    Raises:
        StudioError: ``catalogue.unknown``.
    """
    known = entry(name)
    return Offer(known, read_findings(studio.settings.findings).get(known.id or ""))


@owner_only
def start_check(studio: Studio, name: str | None = None) -> Job:
    """Queue the question whether the Hub has the dataset `name`, or every one; a check under way is not queued twice.

    Raises:
        StudioError: ``catalogue.unknown``, or ``catalogue.not_on_hub`` for one that has no id.
    """
    chosen = entries() if name is None else (entry(name),)
    repos = list(dict.fromkeys(each.id for each in chosen if each.id))
    if not repos:
        raise StudioError("catalogue.not_on_hub", name=name)
    current = last_check(studio)
    if current is not None and current.state not in ENDED and current.arguments["repos"] == repos:
        return current
    job = studio.jobs.add(NewJob(KIND, name or KIND, {"repos": repos}))
    studio.queue.advance()
    return studio.jobs.get(job)


@owner_only
def last_check(studio: Studio) -> Job | None:
    """The newest check, whether it runs or has ended."""
    return next(iter(studio.jobs.listing(kind=KIND, limit=1)), None)
