"""What the owner shares with visitors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from studio.auth import owner_only
from studio.errors import StudioError
from studio.services import chat, runs
from studio.services.studio import Studio


@dataclass(frozen=True, slots=True)
class Shared:
    """References of models that visitors may talk to, and ids of runs whose reports they may read."""

    models: list[str]
    reports: list[str]


@owner_only
def shared(studio: Studio) -> Shared:
    """What is shared now, as far as it is still there."""
    now, can = Shared(studio.shares.names("model"), studio.shares.names("report")), shareable(studio)
    return Shared(*[[one for one in mine if one in all_] for mine, all_ in zip(_both(now), _both(can), strict=True)])


@owner_only
def shareable(studio: Studio) -> Shared:
    """What could be shared: all models that a chat can use, and the reports of runs that are done."""
    done = [run.id for run in runs.listing(studio) if run.launch is not None and run.launch.state == "done"]
    return Shared([*chat.bases(studio), *chat.adapted(studio)], done)


@owner_only
def share(studio: Studio, models: Sequence[str], reports: Sequence[str]) -> Shared:
    """Share exactly these from now on.

    Raises:
        StudioError: ``share.unknown`` for one that is not there; nothing has changed then.
    """
    can = shareable(studio)
    unknown = next((one for one in models if one not in can.models), None) or next(
        (one for one in reports if one not in can.reports), None
    )
    if unknown is not None:
        raise StudioError("share.unknown", name=unknown)
    studio.shares.put("model", models)
    studio.shares.put("report", reports)
    return shared(studio)


def _both(one: Shared) -> tuple[list[str], list[str]]:
    return one.models, one.reports
