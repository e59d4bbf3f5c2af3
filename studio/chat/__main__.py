"""``python -m studio.chat --workspace W``: the chat process, with the device leased for as long as it lives."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from studio.chat.door import Taken
from studio.chat.server import IDLE_SECONDS, serve
from studio.jobs.database import Database
from studio.jobs.lease import Leases
from studio.jobs.local import LocalRunner
from studio.jobs.process import current_process, is_alive
from studio.jobs.queue import Queue
from studio.jobs.store import JobStore
from studio.settings import load_settings

HOLDER, TITLE = "chat", "tabs.chat"  # of the lease; the title is a sentence's key, said in the page's language


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve; a second process on the same workspace leaves quietly, since the first one answers its client."""
    parser = argparse.ArgumentParser(prog="python -m studio.chat", description=__doc__)
    parser.add_argument("--workspace", type=Path, required=True)
    parser.add_argument("--idle-seconds", type=float, default=IDLE_SECONDS)
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    settings = load_settings(options.workspace)
    store = JobStore(Database(settings.database))
    queue = Queue(store, LocalRunner(settings))
    leases = Leases(store.database, is_alive)

    def release() -> None:
        leases.give_back(HOLDER)
        queue.advance()

    try:
        serve(
            settings,
            idle_seconds=options.idle_seconds,
            acquire=lambda: leases.take(HOLDER, TITLE, current_process()),
            release=release,
            awaited=queue.device_is_awaited,
        )
    except Taken:
        return
    sys.stderr.flush()
    # Threads that still compute would keep the interpreter, and so the memory, for a while.
    os._exit(0)


if __name__ == "__main__":
    main()
