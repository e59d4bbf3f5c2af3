"""``pack``: a run as an adapter that plain `peft` loads."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from studio.commands.speech import Detach, Json, Language, Workspace, speaking
from studio.services import adapters


def pack(
    run: Annotated[str, typer.Argument(metavar="RUN", help="run:ID, or the ID alone.")],
    out: Annotated[Path, typer.Option("--out", help="Folder to write; it must not exist or be empty.")],
    detach: Detach = False,
    json: Json = False,
    workspace: Workspace = None,
    language: Language = None,
) -> None:
    """Write a run as an adapter that plain peft loads, new tokens included, and prove it."""
    with speaking(json, workspace, language) as speech:
        reference = run if ":" in run else f"run:{run}"
        job = adapters.start_adapter(speech.studio, reference, out.expanduser().resolve())
        speech.tell(speech.follow(job, detach=detach))
