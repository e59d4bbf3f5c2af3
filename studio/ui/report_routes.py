"""``GET /report/RUN.html``: the report of a run as a file to keep, on the owner's site alone."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from studio.errors import StudioError
from studio.services.studio import Studio
from studio.ui.report_page import report_page


def report_routes(studio: Studio) -> list[Route]:
    """The route; a run that does not exist answers 404."""

    async def download(request: Request) -> Response:
        run = str(request.path_params["run"])
        try:
            page = await run_in_threadpool(report_page, studio, run)
        except StudioError as error:
            raise HTTPException(404) from error
        headers = {
            "content-disposition": f'attachment; filename="{run}.html"',
            "x-content-type-options": "nosniff",
            "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; font-src data:",
            "cache-control": "no-store",
        }
        return Response(page, media_type="text/html; charset=utf-8", headers=headers)

    return [Route("/report/{run:str}.html", download)]
