"""Files that the body of a call names: of these Gradio may see what was uploaded, and nothing else.

Gradio copies every file that a call names into its cache before an event runs, from anywhere below the working folder
or the system's temporary one. Of ``studio.db`` this does more than hand out a copy: closing the file drops the locks
that SQLite holds on it in this process, another process then clears the log under our feet, and from there on every
page answers "disk I/O error" (found by ``benchmarks/reliability.py --parts fuzz``).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

BODY_LIMIT = 10_000_000
"""Bytes of a call's body; files come by another way, and a text of a thousand pages has two million letters."""
_FORMS = ("multipart/form-data", "application/x-www-form-urlencoded")


class NamedFiles:
    """Refuses calls that name a file which was not uploaded, and bodies beyond `BODY_LIMIT`.

    Args:
        app: What stands behind.
        uploads: The folder of uploads, resolved; None where nobody uploads anything.
    """

    def __init__(self, app: ASGIApp, uploads: Path | None) -> None:
        self.app, self._uploads = app, uploads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] != "POST" or Headers(scope=scope).get("content-type", "").startswith(_FORMS):
            await self.app(scope, receive, send)
            return
        body = await _whole(receive)
        if body is None:
            await PlainTextResponse("too much at once", 413)(scope, receive, send)
            return
        if not all(self._is_uploaded(path) for path in named(body)):
            await PlainTextResponse("no such upload", 400)(scope, receive, send)
            return
        told = False

        async def again() -> Message:
            nonlocal told
            if told:
                return await receive()
            told = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self.app(scope, again, send)

    def _is_uploaded(self, name: str) -> bool:
        try:
            return self._uploads is not None and Path(name).resolve().is_relative_to(self._uploads)
        except (OSError, ValueError, RuntimeError):
            return False


def named(body: bytes) -> Iterator[str]:
    """Paths of all files that a JSON body names in Gradio's way; none in what is no JSON."""
    try:
        given = json.loads(body)
    except (ValueError, RecursionError):
        return  # nor does Gradio read it
    yield from _paths(given)


def _paths(given: Any) -> Iterator[str]:
    waiting = [given]
    while waiting:
        one = waiting.pop()
        if isinstance(one, list):
            waiting.extend(one)
        elif isinstance(one, dict):
            if isinstance(one.get("path"), str) and "meta" in one:
                yield one["path"]
            waiting.extend(one.values())


async def _whole(receive: Receive) -> bytes | None:
    """The body of a request; None for one that is too long. A client that leaves has sent what it has sent."""
    parts, size = [], 0
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > BODY_LIMIT:
            return None
        if not message.get("more_body", False):
            return b"".join(parts)
