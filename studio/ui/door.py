"""Who comes in, and to which site: every request passes here before Gradio sees it.

The owner's pages and the visitors' are two sites. A visitor's request never reaches the owner's, whatever its path,
and the visitors' site holds no function, file route or upload that a visitor may not use.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from fastapi import FastAPI
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from studio.auth import Role
from studio.i18n import LOCALES, as_locale, say
from studio.password import Logins, has_password
from studio.settings import LOOPBACK, Settings
from studio.ui.entrance import LOGIN_COOKIE, entrance_routes
from studio.ui.named_files import NamedFiles
from studio.ui.page import preferred_locale
from studio.vault import Vault

_FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")
VISITOR_KEY = "studio.visitor"
"""In the scope of a request: who asks, as a visitor's pace is counted."""
_WRITERS = ("POST", "PUT", "PATCH", "DELETE")
_ORGANISATION_ROLES = ("admin", "write")

_VISITOR_FILES = ("", "config", "theme.css", "manifest.json")
_VISITOR_FOLDERS = ("assets/", "static/", "svelte/", "gradio_api/queue/", "gradio_api/heartbeat/", "gradio_api/call/",
                    "gradio_api/run/")  # fmt: skip
_VISITOR_ROUTES = ("gradio_api/startup-events", "gradio_api/info", "gradio_api/reset", "gradio_api/cancel",
                   "gradio_api/app_id")  # fmt: skip


@dataclass(frozen=True)
class Gate:
    """Tells who asks."""

    settings: Settings
    logins: Logins = field(default_factory=Logins)
    vault: Vault = field(default_factory=Vault)

    def role(self, scope: Scope) -> Role:
        """Owner: who sits at this machine, has given the password, or owns the Space; everybody else visits."""
        if self.is_local(scope):
            return "owner"
        space = self.settings.space
        if space is not None and space.login and owns(space.owner, _profile(scope)):
            self._take_token(_login(scope))
            return "owner"
        return "owner" if self.logins.knows(login_of(Headers(scope=scope))) else "visitor"

    def _take_token(self, login: Mapping[str, Any]) -> None:
        """An owner's login may fetch gated models and publish: its scopes stand at the head of README.md."""
        if token := login.get("access_token"):
            person = str(login["userinfo"]["preferred_username"])
            self.vault.offer(str(token), person, float(login.get("expires_at") or 0.0))

    def is_local(self, scope: Scope) -> bool:
        """Whether a request comes from this machine itself, through no proxy and under this machine's own name.

        A page elsewhere can point its own name at 127.0.0.1 (DNS rebinding): its requests bear that name.
        """
        if self.settings.host not in LOOPBACK or (scope.get("client") or ("",))[0] not in (*LOOPBACK, ""):
            return False
        headers = Headers(scope=scope)
        return _name(headers.get("host", "")) in LOOPBACK and not any(name in headers for name in _FORWARDED)

    def visitor(self, scope: Scope) -> str:
        """What a visitor's pace is counted by: the login, else the address."""
        profile = _profile(scope)
        if profile.get("preferred_username"):
            return f"@{profile['preferred_username']}"
        forwarded = Headers(scope=scope).get("x-forwarded-for", "")
        if self.settings.space is not None and forwarded:
            return forwarded.rpartition(",")[2].strip()  # the Space's own proxy wrote the last one
        return str((scope.get("client") or ("unknown",))[0])


def owns(owner: str, profile: Mapping[str, Any]) -> bool:
    """Whether the login of `profile` is the Space's owner, or may write in the organisation that owns it."""
    if str(profile.get("preferred_username", "")).lower() == owner.lower():
        return True
    return any(
        str(each.get("preferred_username", "")).lower() == owner.lower()
        and each.get("roleInOrg") in _ORGANISATION_ROLES
        for each in profile.get("orgs") or []
    )


def login_of(headers: Headers) -> str:
    """The token of a login by password; empty without one."""
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(LOGIN_COOKIE)
    except CookieError:
        return ""
    return "" if found is None else found.value


def build_door(settings: Settings, owners: FastAPI, visitors: FastAPI | None, gate: Gate) -> FastAPI:
    """One application in front of both sites, with the ways to log in.

    Args:
        settings: Whether there is a Space, a password, or neither.
        owners: The owner's site.
        visitors: The visitors' site; without one they are turned away.
        gate: Tells who asks.
    """
    sites = [site for site in (owners, visitors) if site is not None]

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            for site in sites:
                await stack.enter_async_context(site.router.lifespan_context(site))
            yield

    door = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan)
    door.router.redirect_slashes = False
    if settings.space is not None and settings.space.login:
        from gradio.oauth import attach_oauth

        attach_oauth(door)
    door.router.routes.extend(entrance_routes(settings, gate.logins))
    uploads = settings.uploads.resolve()
    inner = {
        "owner": _OwnersFiles(NamedFiles(owners, uploads), uploads),
        "visitor": _away(settings) if visitors is None else _VisitorsPaths(NamedFiles(visitors, None)),
    }

    async def enter(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return  # no site here speaks by websocket
        fresh = {key: value for key, value in scope.items() if key not in ("router", "route", "endpoint", "app")}
        fresh[VISITOR_KEY] = gate.visitor(scope)
        await inner[gate.role(scope)](fresh, receive, send)

    door.router.default = enter
    door.add_middleware(SameSite, hosts=() if settings.space is None else settings.space.hosts)
    return door


class SameSite:
    """Refuses what another site's page sends here, and lets no other site's page read an answer.

    Args:
        app: What stands behind.
        hosts: Names that a proxy in front is reached by; the request's own is always one.
    """

    def __init__(self, app: ASGIApp, hosts: Sequence[str] = ()) -> None:
        self.app, self._hosts = app, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and is_foreign(scope["method"], Headers(scope=scope), self._hosts):
            await PlainTextResponse("another site's page may not do this", 403)(scope, receive, send)
            return

        async def strict(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(raw=list(message.get("headers", [])))
                for name in [name for name in headers if name.startswith("access-control-")]:
                    del headers[name]
                headers.setdefault("x-content-type-options", "nosniff")
                message = {**message, "headers": headers.raw}
            await send(message)

        await self.app(scope, receive, strict)


def is_foreign(method: str, headers: Headers, hosts: Sequence[str] = ()) -> bool:
    """Whether a request was sent by the page of another site; following a link to us is none."""
    if headers.get("sec-fetch-site") == "cross-site" and headers.get("sec-fetch-mode") != "navigate":
        return True
    origin = headers.get("origin")
    if origin is None:
        return method in _WRITERS and headers.get("sec-fetch-site") == "cross-site"
    ours = urlsplit(origin).netloc in (headers.get("host", ""), *hosts)
    return not ours and (method in _WRITERS or origin != "null")


class _OwnersFiles:
    """Of files, the owner's pages get what was uploaded, and nothing that lies elsewhere or is linked to."""

    def __init__(self, app: ASGIApp, uploads: Path) -> None:
        self.app, self._uploads = app, uploads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        _, asked, name = scope["path"].partition("/file=")
        if not asked:
            _, asked, name = scope["path"].partition("/file/")
        if asked and not self._is_uploaded(name):
            await PlainTextResponse("not found", 404)(scope, receive, send)
            return
        await self.app(scope, receive, send)

    def _is_uploaded(self, name: str) -> bool:
        try:
            path = Path(name).resolve()
            return path.is_relative_to(self._uploads) and path.is_file()
        except (OSError, ValueError, RuntimeError):
            return False


class _VisitorsPaths:
    """Lets visitors through to their pages' own parts alone: no upload, no file, no proxy."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not is_visitors(scope["path"]):
            await PlainTextResponse("not found", 404)(scope, receive, send)
            return
        await self.app(scope, receive, send)


def is_visitors(path: str) -> bool:
    """Whether `path` is part of the visitors' pages."""
    if path == "/" or path.startswith(("/assets/", "/live/")):
        return True
    _, locale, rest = (*path.split("/", 2), "", "")[:3]
    if locale not in LOCALES:
        return False
    return rest in _VISITOR_FILES or rest in _VISITOR_ROUTES or rest.startswith(_VISITOR_FOLDERS)


def _away(settings: Settings) -> ASGIApp:
    async def turn_away(scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        locale = as_locale(preferred_locale(headers.get("cookie", ""), headers.get("accept-language", "")))
        key = "auth.ask_owner" if has_password(settings) else "auth.only_here"
        await PlainTextResponse(say(locale, key), 403)(scope, receive, send)

    return turn_away


def _login(scope: Scope) -> Mapping[str, Any]:
    """What the Hub said at the login of this session; empty without one, and once it has run out."""
    from gradio.oauth import _get_valid_oauth_info_from_session

    session = scope.get("session")
    return (None if session is None else _get_valid_oauth_info_from_session(session)) or {}


def _profile(scope: Scope) -> Mapping[str, Any]:
    return _login(scope).get("userinfo") or {}


def _name(host: str) -> str:
    return urlsplit(f"//{host}").hostname or ""
