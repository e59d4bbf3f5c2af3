"""A model reference names a model wherever it is: on a hub, in a folder, in a run, or a starter of the studio."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from studio.errors import StudioError

Scheme = Literal["hub", "local", "run", "starter"]

_HUB = re.compile(r"(?P<name>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w./-]+))?", re.ASCII)
_RUN = re.compile(r"(?P<name>[\w-]+)(?:/(?P<stage>[a-z0-9][a-z0-9_-]*))?(?:@(?P<revision>\d+))?", re.ASCII)
_STARTER = re.compile(r"(?P<name>[a-z0-9][a-z0-9.-]*)", re.ASCII)


@dataclass(frozen=True, slots=True)
class ModelReference:
    """A parsed reference; ``str()`` gives its text back.

    `name` is ``org/name``, a path, a run's id or a starter's name. `revision` is a branch, tag or commit of a hub
    model, or the step of a run's checkpoint; `stage` is the name of a run's stage.
    """

    scheme: Scheme
    name: str
    revision: str | None = None
    stage: str | None = None

    def __str__(self) -> str:
        stage = f"/{self.stage}" if self.stage else ""
        revision = f"@{self.revision}" if self.revision else ""
        return f"{self.scheme}:{self.name}{stage}{revision}"


def parse_reference(text: str) -> ModelReference:
    """Read ``hub:org/name[@revision]``, ``local:/path``, ``run:ID[/stage][@step]`` or ``starter:name``.

    The bare path of a folder that exists is taken as ``local:``.

    Raises:
        StudioError: ``model.bad_reference`` for anything else.
    """
    text = text.strip()
    scheme, colon, rest = text.partition(":")
    match scheme if colon else "":
        case "local" if rest:
            return ModelReference("local", str(Path(rest).expanduser().absolute()))
        case "hub" if found := _HUB.fullmatch(rest):
            if ".." not in rest:
                return ModelReference("hub", found["name"], found["revision"])
        case "run" if found := _RUN.fullmatch(rest):
            return ModelReference("run", found["name"], found["revision"], found["stage"])
        case "starter" if found := _STARTER.fullmatch(rest):
            return ModelReference("starter", found["name"])
    if text and (folder := Path(text).expanduser()).is_dir():
        return ModelReference("local", str(folder.absolute()))
    raise StudioError("model.bad_reference", reference=text)
