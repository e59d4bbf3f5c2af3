"""What the Hub said of datasets when it was last asked, kept in the workspace with the date: pages need no call."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from studio.data.hub_answers import State, find, reach_hub
from studio.errors import StudioError
from studio.jobs.events import Progress, Stopping
from studio.workspace import disk_error

SILENCES = 3
"""Datasets in a row without an answer after which the others are not asked: each costs up to ten seconds."""


class Finding(BaseModel):
    """What was found of one dataset, and when (ISO 8601, UTC)."""

    model_config = ConfigDict(frozen=True)

    state: State
    checked: str


def read_findings(file: Path) -> dict[str, Finding]:
    """Findings by id; nothing if the Hub was never asked. A damaged file counts as none: asking again mends it."""
    try:
        found = json.loads(file.read_text(encoding="utf8"))
        return {repo: Finding.model_validate(each) for repo, each in found.items()}
    except (FileNotFoundError, ValueError, AttributeError, ValidationError):
        return {}


def check(
    repos: Sequence[str],
    file: Path,
    *,
    token: str | None,
    progress: Progress,
    stopping: Stopping,
    find: Callable[[str, str | None], State] = find,
    reach: Callable[[], None] = reach_hub,
) -> dict[str, Any]:
    """Ask the Hub for every dataset and keep the answers in `file`; silence does not replace an earlier answer.

    Args:
        repos: Ids.
        file: Where findings are kept.
        token: Hub token; None uses the login of this machine, if there is one.
        progress: Told ``progress.catalogue.ask``.
        stopping: Asked before every dataset.
        find: Stands in for the real question.
        reach: Stands in for the real probe.

    Returns:
        ``checked`` (how many answered), ``states`` (how many of each) and ``repos`` (the state of each).

    Raises:
        StudioError: ``job.stopped``, ``disk.full`` or ``workspace.not_writable``.
    """
    silences = 0 if _reachable(reach) else SILENCES
    states: dict[str, State] = {}
    for count, repo in enumerate(repos):
        if stopping():
            raise StudioError("job.stopped")
        progress(count / len(repos), "progress.catalogue.ask")
        states[repo] = find(repo, token) if silences < SILENCES else "unreachable"
        silences = silences + 1 if states[repo] == "unreachable" else 0
    now = datetime.now(UTC).isoformat(timespec="seconds")
    kept = read_findings(file)
    for repo, state in states.items():
        if state != "unreachable" or repo not in kept:
            kept[repo] = Finding(state=state, checked=now)
    _write(file, kept)
    answered = sum(state != "unreachable" for state in states.values())
    return {"checked": answered, "states": dict(Counter(states.values())), "repos": states}


def _reachable(reach: Callable[[], None]) -> bool:
    try:
        reach()
    except StudioError:
        return False
    return True


def _write(file: Path, findings: dict[str, Finding]) -> None:
    text = json.dumps({repo: each.model_dump() for repo, each in sorted(findings.items())}, indent=1)
    beside = file.with_name(f"{file.name}.{os.getpid()}")
    try:
        beside.write_text(text + "\n", encoding="utf8")
        beside.replace(file)
    except OSError as error:
        raise disk_error(error, file.parent) from error
