"""``jobs list | show | stop | resume``: long work that goes on by itself."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from studio.commands.speech import Json, Language, Speech, Workspace, speaking
from studio.jobs.store import Job
from studio.services import diary, jobs, training

app = typer.Typer(no_args_is_help=True, help="Jobs: list, show, stop, resume.")
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
        "progress": view.progress,
        "eta_seconds": view.eta_seconds,
        "message": view.message,
    }
