"""What reaches the browser before Gradio wakes: language, direction, theme, a policy, and nothing from elsewhere."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from functools import cache
from http.cookies import SimpleCookie
from importlib.metadata import version

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from studio.i18n import LOCALES, as_locale, bytes_text, say
from studio.settings import ASSETS, UPLOAD_LIMIT

POLICY = "; ".join(
    (
        "default-src 'self'",
        # Gradio boots from inline scripts and compiles the templates of gr.HTML with `Function`.
        "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "media-src 'self' data: blob:",
        "font-src 'self' data:",
        "connect-src 'self' data: blob:",
        "worker-src 'self' blob:",
        "frame-src 'self' blob:",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
        "frame-ancestors 'self' https://huggingface.co",  # a Space is shown inside the Hub's own page
    )
)
LANGUAGE_COOKIE = "language"

_ELSEWHERE = re.compile(
    r'<meta\s+(?:property|name)="(?:og|twitter):[^>]*>|<link rel="manifest"[^>]*>|<link[^>]*https?:[^>]*>'
)
_ROOT = re.compile(r'<html\s+lang="\w+"')
_BOOT = '<script type="module"'
_TOASTS = {"error": "error", "warning": "warning", "info": "done", "success": "done"}
_PLOTLY_WORDS = {
    "zoom": "Zoom",
    "pan": "Pan",
    "reset": "Reset axes",
    "picture": "Download plot",
    "picture_png": "Download plot as a PNG",
    "zoom_out": "Double-click to zoom back out",
}


class Page:
    """ASGI middleware: rewrites the HTML of ``/fa/`` and ``/en/`` and puts the policy on every HTML answer."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        locale = scope.get("path", "").strip("/") if scope["type"] == "http" else None
        if locale not in LOCALES:
            await self.app(scope, receive, send)
            return
        packed = "gzip" in Headers(scope=scope).get("accept-encoding", "")
        # The page is rewritten as text, so Gradio must not compress it first.
        plain = [(name, value) for name, value in scope["headers"] if name != b"accept-encoding"]
        start: Message = {}
        parts: list[bytes] = []

        async def collect(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start":
                start = message
                return
            if message["type"] != "http.response.body":
                await send(message)
                return
            parts.append(message.get("body", b""))
            if not message.get("more_body", False):
                await _answer(start, b"".join(parts), locale, packed, send)

        await self.app({**scope, "headers": plain}, receive, collect)


async def _answer(start: Message, body: bytes, locale: str, packed: bool, send: Send) -> None:
    headers = MutableHeaders(raw=list(start["headers"]))
    if headers.get("content-type", "").startswith("text/html"):
        headers["content-security-policy"] = POLICY
        headers["x-content-type-options"] = "nosniff"
        headers["referrer-policy"] = "same-origin"
        headers["cache-control"] = "no-store"
        headers["set-cookie"] = f"{LANGUAGE_COOKIE}={locale}; Path=/; Max-Age=31536000; SameSite=Lax"
        body = rewrite(body.decode(), locale).encode()
        if packed:
            headers["content-encoding"] = "gzip"
            body = gzip.compress(body, 5)
        headers["content-length"] = str(len(body))
    await send({**start, "headers": headers.raw})
    await send({"type": "http.response.body", "body": body})


def rewrite(html: str, locale: str) -> str:
    """Gradio's page in `locale`, with our head and without its links to other hosts.

    Raises:
        ValueError: If Gradio's template has changed so much that we would miss our place.
    """
    if _BOOT not in html or not _ROOT.search(html):
        raise ValueError("Gradio's index.html has no <html lang> or no module script")
    direction = "rtl" if locale == "fa" else "ltr"
    html = _ELSEWHERE.sub("", html)
    html = _ROOT.sub(f'<html lang="{locale}" dir="{direction}"', html, count=1)
    return html.replace(_BOOT, head(locale) + _BOOT, 1)


@cache
def head(locale: str) -> str:
    """Our part of the page's head; the inline script must run before Gradio's module does."""
    boot = (ASSETS / "boot.js").read_text(encoding="utf8")
    words = {
        "lost": say(locale, "live.lost"),
        "close": say(locale, "toast.close"),
        "uploadLimit": UPLOAD_LIMIT,
        "tooLarge": say(locale, "upload.too_large", limit=bytes_text(locale, UPLOAD_LIMIT)),
        "toasts": {kind: say(locale, f"toast.{key}") for kind, key in _TOASTS.items()},
        "notify": {word: say(locale, f"jobs.notify_{word}") for word in ("unable", "denied", "dismissed")},
        "plotly": version("plotly"),
        "plot": {word: say(locale, f"plot.{key}") for key, word in _PLOTLY_WORDS.items()},
    }
    return "".join(
        (
            f"<title>{say(locale, 'app.name')}</title>",
            '<link rel="icon" type="image/svg+xml" href="../assets/icon.svg">',
            '<link rel="preload" as="font" type="font/woff2" crossorigin'
            ' href="../assets/fonts/vazirmatn-arabic-wght-normal.woff2">',
            f'<link rel="stylesheet" href="../assets/studio.css?{fingerprint("studio.css")}">',
            f"<script>window.studioWords={json.dumps(words, ensure_ascii=False)};{boot}</script>",
            f'<script defer src="../assets/studio.js?{fingerprint("studio.js")}"></script>',
            f'<script defer src="../assets/curves.js?{fingerprint("curves.js")}"></script>',
        )
    )


@cache
def fingerprint(name: str) -> str:
    """A short hash of an asset, so that browsers may keep it for ever."""
    return hashlib.sha256((ASSETS / name).read_bytes()).hexdigest()[:12]


def preferred_locale(cookie: str, accept_language: str) -> str:
    """The language of a first visit: the cookie of the switch, else the first of ours the browser asks for."""
    chosen = SimpleCookie(cookie).get(LANGUAGE_COOKIE)
    if chosen is not None and chosen.value in LOCALES:
        return as_locale(chosen.value)
    for wanted in accept_language.split(","):
        language = wanted.split(";")[0].strip().split("-")[0].lower()
        if language in LOCALES:
            return language
    return "en"
