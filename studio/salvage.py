"""What a worker had finished when it was killed, and not told yet: it is not done a second time."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from studio.data.manifest import FILE, read_manifest
from studio.jobs.store import Job
from studio.settings import Settings


def finished_before(job: Job, settings: Settings) -> dict[str, Any] | None:
    """The result of an earlier attempt at `job`, if that had ended but for saying so; else None.

    An import gives its dataset the name as its last act: killed between that and its row, it would find the name
    taken when resumed, by itself.
    """
    if job.kind != "import" or job.attempts < 2:
        return None
    folder = settings.datasets / job.arguments["name"]
    if not (folder / FILE).is_file():
        return None
    manifest = read_manifest(folder)
    files = [Path(file) for file in job.arguments.get("files", [])]
    # The name was free when the job was queued: what bears it since comes from this job or from one that was quicker.
    if datetime.fromisoformat(manifest.created).timestamp() < int(job.created):
        return None
    if files and manifest.files != [file.name for file in files]:
        return None
    if job.arguments.get("remove_files"):
        for file in files:
            file.unlink(missing_ok=True)
    return manifest.model_dump(mode="json")
