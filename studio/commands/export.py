"""``export RUN --gguf KIND``: a run as a file for llama.cpp and Ollama."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from studio.commands.speech import Detach, Json, Language, Workspace, speaking
from studio.i18n import say
from studio.services import gguf


def export(
    run: Annotated[str, typer.Argument(metavar="RUN", help="run:ID, or the ID alone.")],
    kind: Annotated[str, typer.Option("--gguf", help="f16, bf16, q8_0, q5_1, q5_0, q4_1, q4_0 or a K-quant.")],
    out: Annotated[Path | None, typer.Option("--out", help="New file; else exports/RUN-gguf/RUN-KIND.gguf.")] = None,
    detach: Detach = False,
    json: Json = False,
    workspace: Workspace = None,
    language: Language = None,
) -> None:
    """Write a run as a GGUF file with a Modelfile, checked in the real llama.cpp."""
    with speaking(json, workspace, language) as speech:
        reference = run if ":" in run else f"run:{run}"
        target = None if out is None else out.expanduser().absolute()
        job = gguf.start_gguf(speech.studio, reference, kind.lower(), target)
        result = speech.follow(job, detach=detach)
        lines = [f"{key}: {value}" for key, value in result.items()]
        if result["state"] == "done" and result["checks"] is None:
            lines.append(say(speech.locale, "gguf.not_checked"))
        speech.tell(result, *lines)
