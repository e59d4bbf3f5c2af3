"""The owner's way in where there is a password: a form, its answer, and the way out."""

from __future__ import annotations

from http.cookies import SimpleCookie
from string import Template
from urllib.parse import parse_qs

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from studio.errors import StudioError
from studio.i18n import as_locale, say
from studio.password import LOGIN_SECONDS, Logins, has_password
from studio.settings import ASSETS, Settings
from studio.ui import parts
from studio.ui.page import POLICY, fingerprint, preferred_locale

LOGIN_COOKIE = "studio_login"
ENTER, LEAVE = "/enter", "/leave"
_LONGEST = 4_000  # bytes of the form


def entrance_routes(settings: Settings, logins: Logins) -> list[Route]:
    """``/enter`` with the password's form, and ``/leave``."""

    async def enter(request: Request) -> Response:
        locale = _locale(request)
        if not has_password(settings):
            return RedirectResponse(f"/{locale}/", 303)
        if request.method == "GET":
            return _page(locale)
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > _LONGEST:
                return _page(locale, StudioError("auth.wrong_password"))
        given = parse_qs(body.decode("utf8", "replace")).get("password", [""])[0]
        try:
            token = await run_in_threadpool(logins.enter, settings, given)
        except StudioError as error:
            return _page(locale, error)
        answer = RedirectResponse(f"/{locale}/", 303)
        secure = request.url.scheme == "https" or request.headers.get("x-forwarded-proto") == "https"
        answer.set_cookie(
            LOGIN_COOKIE, token, max_age=int(LOGIN_SECONDS), httponly=True, samesite="lax", secure=secure, path="/"
        )
        return answer

    async def leave(request: Request) -> Response:
        found = SimpleCookie(request.headers.get("cookie", "")).get(LOGIN_COOKIE)
        if found is not None:
            logins.leave(found.value)
        answer = RedirectResponse(f"/{_locale(request)}/", 303)
        answer.delete_cookie(LOGIN_COOKIE, path="/")
        return answer

    return [Route(ENTER, enter, methods=["GET", "POST"]), Route(LEAVE, leave)]


def _locale(request: Request) -> str:
    headers = request.headers
    return as_locale(preferred_locale(headers.get("cookie", ""), headers.get("accept-language", "")))


def _page(locale: str, error: StudioError | None = None) -> HTMLResponse:
    words = {key: parts.escape(say(locale, f"auth.{key}")) for key in ("title", "lead", "password", "enter")}
    html = Template((ASSETS / "entrance.html").read_text(encoding="utf8")).substitute(
        words,
        locale=locale,
        direction="rtl" if locale == "fa" else "ltr",
        name=parts.escape(say(locale, "app.name")),
        style=fingerprint("studio.css"),
        said="" if error is None else parts.error_banner(locale, error),
    )
    headers = {"content-security-policy": POLICY, "cache-control": "no-store", "referrer-policy": "same-origin"}
    return HTMLResponse(html, 200 if error is None else 403, headers)
