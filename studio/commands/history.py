"""``runs list | show | rename | note | clone | free | delete | csv``: what was trained, and what became of it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from studio.commands.speech import Json, Language, Speech, Workspace, speaking
from studio.errors import StudioError
from studio.i18n import bytes_text, number, say
from studio.services import checkpoints, copies, evaluation_folders, history, history_csv
from studio.services.checkpoints import Checkpoint, Room
from studio.services.history import PastRun

app = typer.Typer(no_args_is_help=True, help="Runs: list, show, rename, note, clone, free, delete, csv.")
RunId = Annotated[str, typer.Argument(metavar="RUN", help="A run's id.")]
Out = Annotated[Path, typer.Option("--out", help="A new file.")]


@app.command("list")
def list_(
    find: Annotated[str, typer.Option("--find", help="Words in the id, title or note.")] = "",
    json: Json = False,
    workspace: Workspace = None,
    language: Language = None,
) -> None:
    """List runs, newest first: state, steps, tokens, loss, held-out bits per byte before and after."""
    with speaking(json, workspace, language) as speech:
        found = history.page(speech.studio, find, rows=sys.maxsize).rows
        speech.tell(
            {"runs": [history.as_json(each) for each in found]}, *([_line(speech, each) for each in found] or [""])
        )


@app.command("show")
def show(run: RunId, json: Json = False, workspace: Workspace = None, language: Language = None) -> None:
    """Show one run: its stages and its checkpoints with size, held-out score and reference."""
    with speaking(json, workspace, language) as speech:
        found, saved = history.get(speech.studio, run), checkpoints.listing(speech.studio, run)
        facts = history.as_json(found) | {"checkpoints": [checkpoints.as_json(each) for each in saved]}
        lines = [f"{key}: {value}" for key, value in facts.items() if key != "checkpoints"]
        speech.tell(facts, *lines, *(_saved(speech, each) for each in saved))


@app.command("rename")
def rename(
    run: RunId,
    title: Annotated[str, typer.Argument(metavar="TITLE", help="Empty: the run is shown by its id again.")],
    json: Json = False,
    workspace: Workspace = None,
    language: Language = None,
) -> None:
    """Show a run under another title; its id stays."""
    with speaking(json, workspace, language) as speech:
        speech.tell({"run": run, "title": history.rename(speech.studio, run, title)})


@app.command("note")
def note(
    run: RunId,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="Takes the place of an older note.")],
    json: Json = False,
    workspace: Workspace = None,
    language: Language = None,
) -> None:
    """Keep a note on a run."""
    with speaking(json, workspace, language) as speech:
        speech.tell({"run": run, "note": history.set_note(speech.studio, run, text)})


@app.command("clone")
def clone(run: RunId, out: Out, json: Json = False, workspace: Workspace = None, language: Language = None) -> None:
    """Write the recipe of a run to a YAML file, to be changed and run again."""
    with speaking(json, workspace, language) as speech:
        target = copies.clone(speech.studio, run, out.expanduser().resolve())
        speech.tell({"run": run, "out": str(target)})


@app.command("free")
def free(
    run: RunId,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would be removed.")] = False,
    json: Json = False,
    workspace: Workspace = None,
    language: Language = None,
) -> None:
    """Remove checkpoints that nothing needs any more; what finished stages ended with always stays."""
    with speaking(json, workspace, language) as speech:
        found = (checkpoints.room if dry_run else checkpoints.free)(speech.studio, run)
        speech.tell(found.facts() | {"dry_run": dry_run}, *_room(speech, found))


@app.command("delete")
def delete(
    run: RunId,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    json: Json = False,
    workspace: Workspace = None,
    language: Language = None,
) -> None:
    """Delete a run with all it learnt, after asking; refused while something needs it."""
    with speaking(json, workspace, language) as speech:
        history.check_delete(speech.studio, run)
        if not yes:
            _ask(speech, run)
        history.delete(speech.studio, run)
        speech.tell({"deleted": run}, say(speech.locale, "history.deleted", run=run))


@app.command("csv")
def csv(out: Out, json: Json = False, workspace: Workspace = None, language: Language = None) -> None:
    """Write all runs to a CSV file, a line per stage."""
    with speaking(json, workspace, language) as speech:
        target = out.expanduser().resolve()
        speech.tell({"out": str(target), "bytes": history_csv.write_csv(speech.studio, target)})


def _ask(speech: Speech, run: str) -> None:
    if not sys.stdin.isatty():
        raise StudioError("run.not_confirmed", run=run)
    name = history.get(speech.studio, run).name
    question = say(speech.locale, "history.delete_question", name=name, run=run)
    if evaluations := len(evaluation_folders.of_run(speech.studio, run)):
        question = f"{say(speech.locale, 'history.delete_evaluations', evaluations=evaluations)} {question}"
    if not typer.confirm(question, err=True):
        raise typer.Exit(1)


def _line(speech: Speech, run: PastRun) -> str:
    state = say(speech.locale, f"states.{run.state}") if run.state else "—"
    loss = "—" if run.loss is None else number(speech.locale, run.loss, 3)
    before = {language: f"{value:.3f} → " for language, value in run.before.items()}
    bits = " ".join(f"{language} {before.get(language, '')}{value:.3f}" for language, value in run.after.items())
    steps, tokens = number(speech.locale, run.steps), number(speech.locale, run.tokens)
    return f"{run.id}\t{run.title}\t{state}\t{steps}\t{tokens}\t{loss}\t{bits}"


def _saved(speech: Speech, checkpoint: Checkpoint) -> str:
    marks = [say(speech.locale, f"history.mark.{mark}") for mark in ("best", "newest") if getattr(checkpoint, mark)]
    bits = " ".join(f"{language} {value:.3f}" for language, value in checkpoint.bits.items())
    size = bytes_text(speech.locale, checkpoint.bytes)
    return f"{checkpoint.reference}\t{size}\t{bits}\t{', '.join(marks)}"


def _room(speech: Speech, found: Room) -> list[str]:
    if not found.spares:
        return [say(speech.locale, "history.free_nothing")]
    lines = [
        f"{spare.name}\t{'—' if spare.step is None else number(speech.locale, spare.step)}\t"
        f"{say(speech.locale, f'history.spare.{spare.reason}')}\t{bytes_text(speech.locale, spare.bytes)}"
        for spare in found.spares
    ]
    return [*lines, bytes_text(speech.locale, found.bytes)]
