"""Files that pages load: our own by name, and ``plotly.min.js`` out of the installed wheel."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse
from starlette.routing import Route

from studio.settings import ASSETS

_TYPES = {
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
    ".txt": "text/plain",
}
_FOLDERS = (ASSETS, ASSETS / "fonts")
_FOR_EVER = "public, max-age=31536000, immutable"
_FOR_A_DAY = "public, max-age=86400"


def asset_routes() -> list[Route]:
    """``/assets/NAME`` for what was in the folder at the start, and ``/assets/plotly.min.js``."""
    files = {
        path.relative_to(ASSETS).as_posix(): path
        for folder in _FOLDERS
        for path in folder.iterdir()
        if path.is_file() and path.suffix in _TYPES
    }
    files["plotly.min.js"] = plotly_script()

    async def serve(request: Request) -> FileResponse:
        # Looked up in a table, never joined to a folder: a request cannot walk out of it.
        path = files.get(request.path_params["name"])
        if path is None:
            raise HTTPException(404)
        kept = _FOR_EVER if request.url.query else _FOR_A_DAY  # a query is the fingerprint of this very file
        headers = {"cache-control": kept, "x-content-type-options": "nosniff"}
        return FileResponse(path, media_type=_TYPES[path.suffix], headers=headers)

    return [Route("/assets/{name:path}", serve)]


def plotly_script() -> Path:
    """``plotly.min.js`` of the wheel; plotly itself is not imported (0.3 s, 40 MB).

    Raises:
        ValueError: If plotly is not installed.
    """
    found = find_spec("plotly")
    if found is None or not found.submodule_search_locations:
        raise ValueError("plotly is not installed")
    return Path(found.submodule_search_locations[0]) / "package_data" / "plotly.min.js"
