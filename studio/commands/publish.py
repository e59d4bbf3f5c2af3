"""``publish``: a checked export as a revision on the Hub."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import asdict
from typing import Annotated, Any

import typer

from studio.commands.speech import Detach, Json, Language, Speech, Workspace, speaking
from studio.errors import StudioError
from studio.i18n import bytes_text, explain, say
from studio.publish.licences import Finding
from studio.publish.record import Kind
from studio.services import account, publishing

SIGNS = {"new": "+", "changed": "~", "same": "=", "removed": "-"}


def publish(
    run: Annotated[str, typer.Argument(metavar="RUN", help="run:ID, or the ID alone.")],
    to: Annotated[str, typer.Option("--to", metavar="ORG/NAME", help="Repository; made if it is not there.")],
    what: Annotated[Kind, typer.Option("--what", help="Which form of the run.")] = "merged",
    private: Annotated[bool, typer.Option("--private/--public", help="Who sees it.")] = True,
    message: Annotated[str, typer.Option("--message", help="Of the revision.")] = "",
    accept_licence: Annotated[
        bool, typer.Option("--accept-licence", help="You have read what the licences ask, and will do it.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be uploaded.")] = False,
    detach: Detach = False,
    json: Json = False,
    workspace: Workspace = None,
    language: Language = None,
) -> None:
    """Publish a merged model, adapter or GGUF files on the Hub, and read back what arrived."""
    with speaking(json, workspace, language) as speech:
        studio = speech.studio
        export = publishing.export_of(studio, run if ":" in run else f"run:{run}", what)
        publishing.check_name(studio, to)
        _log_in(speech, needed=not dry_run)
        if dry_run:
            _tell_plan(speech, publishing.plan(studio, export, to, private=private))
            return
        _warn(speech.locale, publishing.asked_by_licences(studio, export, to))
        job = publishing.start_publish(
            studio, export, to, private=private, message=message, accept_licence=accept_licence
        )
        speech.tell(speech.follow(job, detach=detach))


def _log_in(speech: Speech, *, needed: bool) -> None:
    try:
        account.use_login(speech.studio)
    except StudioError:
        if needed:
            raise


def _warn(locale: str, findings: Iterable[Finding]) -> None:
    for each in findings:
        sys.stderr.write(f"! {_sentence(locale, each)}\n")


def _sentence(locale: str, finding: Finding) -> str:
    return say(locale, f"licence.finding.{finding.code}", subject=finding.subject, licence=finding.licence)


def _tell_plan(speech: Speech, plan: publishing.Plan) -> None:
    locale = speech.locale
    asks = [{**asdict(each), "message": _sentence(locale, each)} for each in plan.licences]
    problems = [{"error": each.code, "message": explain(locale, each)} for each in plan.problems]
    payload: dict[str, Any] = {
        "repo": plan.repo,
        "files": [{"name": each.name, "bytes": each.bytes, "change": each.change} for each in plan.files],
        "bytes": plan.bytes,
        "bytes_to_send": plan.bytes_to_send,
        "private": plan.private,
        "revision": plan.revision,
        "checks": {},
        "exists": plan.exists,
        "licences": asks,
        "siblings": plan.siblings,
        "problems": problems,
        "dry_run": True,
    }
    _warn(locale, plan.licences)
    for problem in problems:
        sys.stderr.write(f"! {problem['message']}\n")
    files = [f"{SIGNS[each.change]} {each.name}  {bytes_text(locale, each.bytes)}" for each in plan.files]
    total = say(locale, "publish.would_send", repo=plan.repo, bytes=bytes_text(locale, plan.bytes_to_send))
    speech.tell(payload, *files, total)
