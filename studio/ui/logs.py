"""``GET /log/JOB``: the whole log of a job to keep, on the owner's site alone."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from studio.errors import StudioError
from studio.services import logs
from studio.services.studio import Studio

LARGEST = 2**63  # ids of SQLite stay below


def log_routes(studio: Studio) -> list[Route]:
    """The route; a job that does not exist, or has written nothing, answers 404."""

    async def download(request: Request) -> Response:
        job = int(request.path_params["job"])
        try:
            pieces = await run_in_threadpool(logs.whole, studio, min(job, LARGEST - 1))
        except StudioError as error:
            raise HTTPException(404) from error
        headers = {
            "content-disposition": f'attachment; filename="job-{job}.txt"',
            "x-content-type-options": "nosniff",
            "cache-control": "no-store",
        }
        return StreamingResponse(pieces, media_type="text/plain; charset=utf-8", headers=headers)

    return [Route("/log/{job:int}", download)]
