"""``owner``: the password without which nobody but this machine's user may run the studio."""

from __future__ import annotations

import getpass
import sys
from typing import Annotated

import typer

from studio import password as passwords
from studio.commands.speech import Json, Language, Workspace, speaking
from studio.errors import StudioError
from studio.i18n import say


def owner(
    remove: Annotated[bool, typer.Option("--remove", help="Forget it; others can then not come in.")] = False,
    json: Json = False,
    workspace: Workspace = None,
    language: Language = None,
) -> None:
    """Set the owner's password, asked for twice, or read as one line where no terminal is there to ask."""
    with speaking(json, workspace, language) as speech:
        if remove:
            passwords.remove_password(speech.studio.settings)
        else:
            passwords.set_password(speech.studio.settings, _ask(speech.locale))
        told = say(speech.locale, "auth.removed" if remove else "auth.set")
        speech.tell({"password": not remove}, told)


def _ask(locale: str) -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    given, again = (getpass.getpass(f"{say(locale, f'auth.{key}_password')}: ") for key in ("new", "repeat"))
    if given != again:
        raise StudioError("auth.different_passwords")
    return given
