"""``jobs list | show | move | cancel | stop | end | resume | log``: long work that goes on by itself."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from studio.commands.speech import Json, Language, Speech, Workspace, speaking
from studio.jobs.store import Job
from studio.services import diary, jobs, logs, training

app = typer.Typer(no_args_is_help=True, help="Jobs: list, show, move, cancel, stop, end, resume, log.")
JobId = Annotated[int, typer.Argument(metavar="ID")]


@app.command("list")
def list_(json: Json = False, workspace: Workspace = None, language: Language = None) -> None:
    """List jobs, newest first."""
    with speaking(json, workspace, language) as speech:
        jobs.advance(speech.studio)
        found = [_facts(speech, job) for job in jobs.listing(speech.studio)]
        lines = [
            f"{each['job']}\t{each['kind']}\t{each['state']}\t{each['title']}\t{each['message']}" for each in found
        ]
        speech.tell({"jobs": found}, *lines or [""])


@app.command("show")
def show(job: JobId, json: Json = False, workspace: Workspace = None, language: Language = None) -> None:
    """Show one job: state, progress, time left."""
    with speaking(json, workspace, language) as speech:
        jobs.advance(speech.studio)
        found = jobs.show(speech.studio, job)
        told = [] if found.run is None else training.alarms(speech.studio, found.run)
        alarms = [{**asdict(alarm), "message": diary.alarm_sentence(speech.locale, alarm)} for alarm in told]
        facts = {**_facts(speech, found), "result": found.result, "error": found.error, "alarms": alarms}
        speech.tell(facts)


@app.command("move")
def move(
    job: JobId,
    way: Annotated[str, typer.Argument(metavar="up|down|first")],
    json: Json = False,
    workspace: Workspace = None,
    language: Language = None,
) -> None:
    """Move a waiting job in the queue; it never passes one that it needs."""
    with speaking(json, workspace, language) as speech:
        place = jobs.move(speech.studio, job, way)
        facts = {**_facts(speech, jobs.show(speech.studio, job)), "place": place}
        speech.tell(facts)


@app.command("cancel")
def cancel(job: JobId, json: Json = False, workspace: Workspace = None, language: Language = None) -> None:
    """Take a waiting job from the queue."""
    with speaking(json, workspace, language) as speech:
        speech.tell(_facts(speech, jobs.cancel(speech.studio, job)))


@app.command("end")
def end(job: JobId, json: Json = False, workspace: Workspace = None, language: Language = None) -> None:
    """End a job at once that does not stop when asked; a training loses the steps since its checkpoint."""
    with speaking(json, workspace, language) as speech:
        speech.tell(_facts(speech, jobs.end_now(speech.studio, job)))


@app.command("log")
def log(job: JobId, json: Json = False, workspace: Workspace = None, language: Language = None) -> None:
    """The whole log of a job, without tokens and keys."""
    with speaking(json, workspace, language) as speech:
        lines = b"".join(logs.whole(speech.studio, job)).decode().splitlines()
        speech.tell({"job": job, "lines": lines}, *lines)


@app.command("stop")
def stop(job: JobId, json: Json = False, workspace: Workspace = None, language: Language = None) -> None:
    """Ask a job to stop; a training saves a checkpoint first."""
    with speaking(json, workspace, language) as speech:
        speech.tell(_facts(speech, jobs.stop(speech.studio, job)))


@app.command("resume")
def resume(job: JobId, json: Json = False, workspace: Workspace = None, language: Language = None) -> None:
    """Queue an ended job again; a training goes on from its newest checkpoint."""
    with speaking(json, workspace, language) as speech:
        speech.tell(_facts(speech, jobs.resume(speech.studio, job)))


def _facts(speech: Speech, job: Job) -> dict[str, object]:
    view = jobs.view(speech.locale, job)
    return {
        "job": view.id,
        "run": view.run,
        "state": view.state,
        "kind": view.kind,
        "title": view.title,
        "after": list(job.after),
        "progress": view.progress,
        "eta_seconds": view.eta_seconds,
        "message": view.message,
    }
