"""How a verb answers: one JSON object on stdout or plain lines, errors as sentences, progress on stderr."""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from studio.errors import StudioError
from studio.i18n import explain
from studio.jobs.store import ENDED, Job
from studio.services import jobs
from studio.services.studio import Studio, open_studio
from studio.settings import load_settings, preferred_locale

Json = Annotated[bool, typer.Option("--json", help="One JSON object on stdout and nothing else.")]
Workspace = Annotated[
    str | None, typer.Option("--workspace", help="Folder of the studio; else WORKSPACE, else ./workspace.")
]
Language = Annotated[str | None, typer.Option("--language", help="fa or en; else by the environment.")]
Detach = Annotated[bool, typer.Option("--detach", help="Return at once; the job goes on.")]
Model = Annotated[str, typer.Option("--model", help="hub:ORG/NAME, local:/PATH, run:ID, starter:smollm2-135m, …")]


class Speech:
    """Speaks for one verb: `tell` once with what it found."""

    def __init__(self, studio: Studio, *, as_json: bool, locale: str, stdout: int) -> None:
        self.studio = studio
        self.locale = locale
        self._json = as_json
        self._stdout = stdout

    def tell(self, payload: Mapping[str, Any], *lines: str) -> None:
        """The answer: `payload` with ``--json``, else `lines` (the payload as ``key: value`` without any)."""
        shown = lines or tuple(f"{key}: {value}" for key, value in payload.items())
        text = json.dumps(payload, ensure_ascii=False, default=str) if self._json else "\n".join(shown)
        os.write(self._stdout, (text + "\n").encode())

    def follow(self, job: Job, *, detach: bool) -> dict[str, Any]:
        """Wait for a job and tell its result; with `detach` only that it is queued.

        Raises:
            StudioError: What the job failed with.
            typer.Exit: With `detach`, after telling.
        """
        if detach:
            self.tell({"job": job.id, "run": job.run, "state": job.state})
            raise typer.Exit(0)
        try:
            ended = jobs.wait(self.studio, job.id, self._progress)
        except KeyboardInterrupt:
            # The job is a process of its own: leaving the terminal does not end it.
            sys.stderr.write(f"\npython -m studio jobs show {job.id}   python -m studio jobs stop {job.id}\n")
            raise
        if ended.state == "needs_login":
            raise StudioError("hub.no_login")
        if ended.error is not None and ended.state in ("failed", "lost"):
            raise StudioError(ended.error["code"], **ended.error["details"])
        return {"job": ended.id, "run": ended.run, **(ended.result or {}), "state": ended.state}

    def _progress(self, job: Job) -> None:
        if not sys.stderr.isatty():
            return
        end = "\n" if job.state in ENDED else ""
        sys.stderr.write(f"\r\x1b[K{job.progress:4.0%}  {jobs.message(self.locale, job)}{end}")
        sys.stderr.flush()


@contextmanager
def speaking(as_json: bool, workspace: str | None, language: str | None) -> Iterator[Speech]:
    """Open the studio for one verb; a `StudioError` becomes a sentence and exit status 1.

    Anything else is our mistake: its trace goes to stderr, and the answer says only that.

    Libraries print where they like, so stdout points to stderr until the answer is written.
    """
    locale = language if language in ("fa", "en") else preferred_locale()
    sys.stdout.flush()
    stdout = os.dup(1)
    os.dup2(2, 1)
    try:
        settings = load_settings(workspace)
        yield Speech(open_studio(settings), as_json=as_json, locale=locale, stdout=stdout)
    except (typer.Exit, typer.BadParameter):
        raise
    except Exception as error:
        _fail(_foreseen(error), locale, stdout=stdout if as_json else None)
        raise typer.Exit(1) from None
    finally:
        sys.stdout.flush()
        os.dup2(stdout, 1)
        os.close(stdout)


def _foreseen(error: Exception) -> StudioError:
    if isinstance(error, StudioError):
        return error
    traceback.print_exception(error)
    first = next(iter(str(error).splitlines()), "")
    return StudioError("command.unexpected", reason=f"{type(error).__name__}: {first}")


def _fail(error: StudioError, locale: str, *, stdout: int | None) -> None:
    sentence = explain(locale, error)
    if stdout is None:
        sys.stderr.write(sentence + "\n")
        return
    failure = {"error": error.code, "message": sentence, "details": error.details}
    os.write(stdout, (json.dumps(failure, ensure_ascii=False, default=str) + "\n").encode())
