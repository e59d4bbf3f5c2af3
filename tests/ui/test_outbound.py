"""The app calls nobody by itself: with every socket to the outside refused, it starts, serves and polls as always."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = r"""
import socket, sys, threading, time, urllib.request

attempts = []
connect, lookup = socket.socket.connect, socket.getaddrinfo

def refuse(self, address):
    host = address[0] if isinstance(address, tuple) else address
    if self.family in (socket.AF_INET, socket.AF_INET6) and host not in ("127.0.0.1", "::1", "localhost"):
        attempts.append(host)
        raise OSError("no network in this test")
    return connect(self, address)

def refuse_lookup(host, *rest, **named):
    if host not in (None, "", "127.0.0.1", "::1", "localhost", b"127.0.0.1"):
        attempts.append(host)
        raise OSError("no network in this test")
    return lookup(host, *rest, **named)

socket.socket.connect = refuse
socket.socket.connect_ex = lambda self, address: refuse(self, address) or 0
socket.getaddrinfo = refuse_lookup

import app
port = int(sys.argv[2])
threading.Thread(target=app.main, kwargs={"workspace": sys.argv[1], "port": port}, daemon=True).start()
pages = ["/fa/", "/en/", "/live/story?locale=fa", "/live/status?locale=en", "/en/config"]
deadline = time.time() + 60
while time.time() < deadline:
    try:
        for page in pages:
            urllib.request.urlopen(f"http://127.0.0.1:{port}{page}", timeout=20).read()
        break
    except OSError:
        time.sleep(0.2)
time.sleep(4)  # what runs in threads after the start: version checks, telemetry
assert not attempts, attempts
print("nobody was called")
"""


def test_no_outbound_call(tmp_path: Path) -> None:
    from tests.live import free_port

    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path / "workspace"), str(free_port())],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert "nobody was called" in done.stdout, done.stdout + done.stderr
