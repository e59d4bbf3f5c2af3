"""``merge``, ``verify`` and ``towards``: a run as one ordinary model folder, proved, and how much of it to keep."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from studio.commands.speech import Detach, Json, Language, Workspace, speaking
from studio.i18n import number
from studio.publish.companions import Dtype
from studio.services import merging
from studio.services.merging import Point

Run = Annotated[str, typer.Argument(metavar="RUN", help="run:ID, or the ID alone.")]


def merge(
    run: Run,
    out: Annotated[Path, typer.Option("--out", help="Folder to write; it must not exist or be empty.")],
    dtype: Annotated[Dtype, typer.Option("--dtype", help="Of the weights that are written.")] = "bfloat16",
    towards_base: Annotated[
        float,
        typer.Option("--towards-base", metavar="SHARE", help="Of the way back to the base: 0 to below 1."),
    ] = 0.0,
    detach: Detach = False,
    json: Json = False,
    workspace: Workspace = None,
    language: Language = None,
) -> None:
    """Merge a run into a folder that plain transformers opens, and prove it."""
    with speaking(json, workspace, language) as speech:
        target = out.expanduser().resolve()
        job = merging.start_merge(speech.studio, reference(run), target, dtype=dtype, towards_base=towards_base)
        speech.tell(speech.follow(job, detach=detach))


def verify(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A merged model.")],
    run: Annotated[str, typer.Option("--run", metavar="RUN", help="The run it was made of: run:ID, or the ID alone.")],
    detach: Detach = False,
    json: Json = False,
    workspace: Workspace = None,
    language: Language = None,
) -> None:
    """Check a merged folder again, with every check it was made under; nothing is changed."""
    with speaking(json, workspace, language) as speech:
        job = merging.start_verify(speech.studio, folder.expanduser().resolve(), reference(run))
        speech.tell(speech.follow(job, detach=detach))


def towards(
    run: Run,
    detach: Detach = False,
    json: Json = False,
    workspace: Workspace = None,
    language: Language = None,
) -> None:
    """Measure what a run keeps of Persian and English when its merge is taken back towards the base."""
    with speaking(json, workspace, language) as speech:
        speech.follow(merging.start_curve(speech.studio, reference(run)), detach=detach)
        points = merging.curve(speech.studio, reference(run)) or ()
        speech.tell({"points": [asdict(each) for each in points]}, *(_line(speech.locale, each) for each in points))


def _line(locale: str, point: Point) -> str:
    share, persian, english = (number(locale, value, 3) for value in (point.towards_base, point.fa, point.en))
    return f"{share}  fa {persian}  en {english}"


def reference(run: str) -> str:
    """The reference of a run that may be told by its ID alone."""
    return run if ":" in run else f"run:{run}"
