"""Start the studio: settings, workspace, pages, serve. Also the entry of a Hugging Face Space."""

from __future__ import annotations

import socket
import sys
import threading

from studio.errors import StudioError
from studio.i18n import explain, say
from studio.password import is_open
from studio.services.studio import Studio, open_studio
from studio.settings import LOOPBACK, Settings, load_settings, preferred_locale
from studio.workspace import WorkspaceLock

LOOK_SECONDS = 3.0


def main(
    workspace: str | None = None, host: str | None = None, port: int | None = None, language: str | None = None
) -> int:
    """Serve until Ctrl-C; returns the exit status. What a user can mend is said in one sentence."""
    locale = language if language in ("fa", "en") else preferred_locale()
    try:
        settings = load_settings(workspace, host=host, port=port)
        _check_address(settings)
        studio = open_studio(settings)
        with WorkspaceLock(settings):
            return _serve(studio, locale)
    except StudioError as error:
        sys.stderr.write(explain(locale, error) + "\n")
        return 1


def _check_address(settings: Settings) -> None:
    if settings.host not in LOOPBACK and not is_open(settings):  # whoever reached the port would own the studio
        code = "serve.public_bind" if settings.space is None else "serve.space_without_login"
        raise StudioError(code, host=settings.host)
    with socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            raise StudioError("serve.port_taken", port=str(settings.port)) from error


def _serve(studio: Studio, locale: str) -> int:
    import uvicorn

    from studio.ui.journey import build_studio

    settings = studio.settings
    server = uvicorn.Server(
        uvicorn.Config(
            build_studio(studio),
            host=settings.host,
            port=settings.port,
            log_level="warning",
            timeout_graceful_shutdown=2,
            proxy_headers=False,  # the door reads them itself, and only where a proxy is known to write them
        )
    )
    closing = threading.Event()
    threading.Thread(target=_watch, args=(studio, closing, locale), daemon=True).start()
    sys.stdout.write(say(locale, "serve.address", address=settings.address) + "\n")
    sys.stdout.flush()
    try:
        server.run()
    except KeyboardInterrupt:
        pass  # uvicorn raises it again after a clean shutdown
    finally:
        closing.set()
    return 0


def _watch(studio: Studio, closing: threading.Event, locale: str) -> None:
    """Move the queue on while no page looks: a worker that was killed cannot start the next one itself."""
    while not closing.wait(LOOK_SECONDS):
        try:
            studio.queue.advance()
        except StudioError as error:  # a database that is locked for long: the next look may find it free
            sys.stderr.write(explain(locale, error) + "\n")
        except OSError as error:  # a worker that cannot be started now, for want of memory, say, is tried again
            sys.stderr.write(f"{error}\n")


if __name__ == "__main__":
    sys.exit(main())
