"""What a page asks for every two seconds: small JSON answers outside Gradio's event machinery.

When nothing is new, a poll of a run's curves costs 1.0 to 1.6 ms of processor here and 4.3 to 4.5 ms as a Gradio event
(means of 300 polls, two busy cores); with a handler that does nothing it is 0.4 against 1.7 ms.
The same functions are Gradio endpoints too, for `gradio_client`.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Mapping
from typing import Any

import gradio as gr
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from studio.errors import StudioError
from studio.i18n import as_locale, explain
from studio.ui.handlers import guarded

Panel = Callable[[str, str], str]
"""Called with the page's language and a subject (a run, a job, or nothing); answers HTML built with `parts`."""

Curves = Callable[[str, int | None], Mapping[str, Any]]
"""Called with a run and the last token seen; answers as `studio.jobs.curves` describes."""


def panel_answer(panel: Panel, locale: str, subject: str, after: str) -> dict[str, Any]:
    """The HTML of a panel, or only its token when the page already shows it."""
    html = panel(locale, subject)
    token = f"{zlib.crc32(html.encode()):x}"
    if token == after:
        return {"token": token, "unchanged": True}
    return {"token": token, "unchanged": False, "html": html}


def live_routes(panels: Mapping[str, Panel], curves: Curves | None) -> list[Route]:
    """``GET /live/NAME?locale=&subject=&after=`` for every panel and for ``curves``."""

    def answer(name: str, locale: str, subject: str, after: str) -> dict[str, Any]:
        try:
            if name == "curves" and curves is not None:
                return dict(curves(subject, int(after) if after.isdecimal() else None))
            if name in panels:
                return panel_answer(panels[name], locale, subject, after)
        except StudioError as error:
            return {"token": "", "error": explain(locale, error)}
        raise HTTPException(404)

    async def poll(request: Request) -> Response:
        asked = request.query_params
        found = await run_in_threadpool(
            answer,
            request.path_params["name"],
            as_locale(asked.get("locale")),
            asked.get("subject", ""),
            asked.get("after", ""),
        )
        body = json.dumps(found, ensure_ascii=False, separators=(",", ":")).encode()
        return Response(body, media_type="application/json", headers={"cache-control": "no-store"})

    return [Route("/live/{name}", poll)]


def register_endpoints(locale: str, panels: Mapping[str, Panel], curves: Curves | None) -> None:
    """Give every live source a Gradio endpoint of its own name, inside the `gr.Blocks` being built."""

    def endpoint(panel: Panel) -> Callable[[str, str], dict[str, Any]]:
        def poll(subject: str = "", after: str = "") -> dict[str, Any]:
            return panel_answer(panel, locale, subject, after)

        return poll

    for name, panel in panels.items():
        gr.api(guarded(locale, endpoint(panel)), api_name=name, queue=False)
    if curves is not None:

        def poll_curves(run: str, after: float | None = None) -> dict[str, Any]:
            return dict(curves(run, None if after is None else int(after)))

        gr.api(guarded(locale, poll_curves), api_name="curves", queue=False)
