"""Senseless values to every endpoint of a live studio: no trace of ours, no file outside the workspace touched."""

from __future__ import annotations

import http.client
import json
import re
import tempfile
import time
import zlib
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as some

from studio.i18n import LOCALES, say
from studio.settings import ROOT
from tests.live import LiveStudio

CANARY = "canary-5f2b9c"
"""Written into the home of the studio; no answer may hold it."""
SKIPPED = {".git", ".venv", ".cache", "__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".hypothesis",
           ".rustup"}  # fmt: skip
"""Not the studio's: pip asks rustc for its version, and where that is rustup's it writes its settings."""
NOWHERE = "http://127.0.0.1:9"
"""Nobody listens there: no model hub and no package index is asked."""
LONGEST = 60.0


def measure(seconds: float, start: int, examples: int) -> dict[str, Any]:
    """Ask for `seconds` in all, each endpoint `examples` times in a row and at least once so.

    `faults` are traces of our own code, and files that came, went or changed.
    """
    with tempfile.TemporaryDirectory() as folder:
        home, outside = Path(folder) / "home", Path(folder) / "tmp"
        for each in (home, outside, Path(folder) / "studio"):
            each.mkdir()
        (home / "secret.txt").write_text(CANARY)
        guard: dict[str, Any] = {
            "HOME": str(home), "TMPDIR": str(outside), "HF_ENDPOINT": NOWHERE, "PIP_INDEX_URL": NOWHERE,
            "PIP_NO_INDEX": "1", "PYTHONDONTWRITEBYTECODE": "1",
        }  # fmt: skip
        live = LiveStudio(Path(folder) / "studio" / "workspace", **guard).start()
        try:
            for locale in LOCALES:
                live.get(f"/{locale}/config")
            before = {**listing(home), **listing(ROOT), **listing(outside)}
            asked = Asked(live, values(home, live.workspace), examples)
            asked.all(seconds, start)
        finally:
            live.close()
        after = {**listing(home), **listing(ROOT), **listing(outside)}
        log = (live.workspace.parent / "app.log").read_text(encoding="utf8", errors="replace")
    touched = sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))
    traces = own_traces(log)
    faults = [name for name, bad in (("traces", traces), ("touched", touched), ("told", asked.told),
                                     ("unexpected", asked.unexpected), ("silent", asked.silent)) if bad]  # fmt: skip
    return {
        "seconds": seconds,
        "endpoints": len(asked.endpoints),
        "calls": asked.calls,
        "answered": asked.answered,
        "refused": asked.calls - asked.answered,
        "traces": traces,
        "unexpected": sorted(asked.unexpected),
        "silent": sorted(asked.silent),
        "told": sorted(asked.told),
        "touched": touched,
        "faults": faults,
    }


def values(home: Path, workspace: Path) -> some.SearchStrategy[Any]:
    """Anything that JSON can say, with a liking for what could lead astray."""
    astray = [
        "", " ", "\x00", "../../etc/passwd", "/etc/passwd", str(home / "secret.txt"), str(home / "made"), "..", ".",
        f"local:{home}", "local:../../..", "run:../../x", "run:", "hub:a/b@../..", "starter:smollm2-135m", "hub:",
        "first_steps", "recommended", "sample-stories", "sample-chats", "stages.0.budget.steps=2", "lora.rank=9" * 99,
        "%00", "<script>alert(1)</script>", "{{7*7}}", "{0}", "{x.__class__}",
        "\u202egpj.exe", "۱۲۳", "نام", "a" * 3000, "1", "-1", "1e999", "nan", "²", "text=\n", f"{workspace}/studio.db",
    ]  # fmt: skip
    texts = some.one_of(some.sampled_from(astray), some.text(max_size=40))
    numbers = some.one_of(some.integers(), some.integers(-3, 30), some.floats(allow_nan=False, allow_infinity=False))
    files = some.sampled_from(
        ["/etc/passwd", str(home / "secret.txt"), f"{workspace}/studio.db", "http://127.0.0.1:9/a"]
    )
    file = files.map(lambda path: {"path": path, "meta": {"_type": "gradio.FileData"}, "orig_name": "a.txt"})
    one = some.one_of(some.none(), some.booleans(), texts, texts, numbers, file)
    return some.recursive(
        one,
        lambda inner: some.one_of(
            some.lists(inner, max_size=4), some.dictionaries(some.text(max_size=8), inner, max_size=3)
        ),
        max_leaves=6,
    )


class Asked:
    """Calls endpoints as `gradio_client` does, and keeps what they did."""

    def __init__(self, live: LiveStudio, value: some.SearchStrategy[Any], examples: int) -> None:
        self._live, self._value, self._examples = live, value, examples
        self._sorry = {json.dumps(say(locale, "toast.unexpected"))[1:-1] for locale in LOCALES}
        self._sorry |= {say(locale, "toast.unexpected") for locale in LOCALES}
        self.endpoints = [
            (locale, name.removeprefix("/"), [each.get("type", {}) for each in found["parameters"]])
            for locale in LOCALES
            for name, found in json.loads(live.get(f"/{locale}/gradio_api/info"))["named_endpoints"].items()
        ]
        self.calls = self.answered = 0
        self.unexpected: set[str] = set()
        self.silent: set[str] = set()
        self.told: set[str] = set()

    def all(self, seconds: float, start: int) -> None:
        """One endpoint after another until the time is over; each has its turn at least once."""
        give_up, turn = time.monotonic() + seconds, start
        while turn == start or time.monotonic() < give_up:
            for locale, name, kinds in self.endpoints:
                if turn > start and time.monotonic() > give_up:
                    return
                self._some(turn, locale, name, kinds)
            turn += 1

    def _some(self, turn: int, locale: str, name: str, kinds: list[dict[str, Any]]) -> None:
        fitting = some.tuples(*(some.one_of(self._value, _fitting(kind, self._value)) for kind in kinds))
        given_data = some.one_of(fitting.map(list), fitting.map(list), some.lists(self._value, max_size=3))

        @seed(zlib.crc32(f"{turn} {locale} {name}".encode()))
        @settings(max_examples=self._examples, database=None, deadline=None, phases=[Phase.generate],
                  suppress_health_check=list(HealthCheck))  # fmt: skip
        @given(given_data)
        def ask(data: list[Any]) -> None:
            self._ask(locale, name, data)

        ask()

    def _ask(self, locale: str, name: str, data: list[Any]) -> None:
        self.calls += 1
        path = f"/{locale}/gradio_api/call/{name}"
        connection = http.client.HTTPConnection("127.0.0.1", self._live.port, timeout=LONGEST)
        try:
            connection.request("POST", path, json.dumps({"data": data}), {"content-type": "application/json"})
            first = connection.getresponse()
            body = first.read().decode(errors="replace")
            if first.status == 200 and "event_id" in body:
                connection.request("GET", f"{path}/{json.loads(body)['event_id']}")
                stream = connection.getresponse()
                body = stream.read().decode(errors="replace")
                self.answered += "event: complete" in body
            elif first.status >= 500:
                self.unexpected.add(f"{locale}/{name}: {first.status} {body[:200]}")
        except (TimeoutError, http.client.HTTPException, ConnectionError) as error:
            self.silent.add(f"{locale}/{name}: {type(error).__name__} with {json.dumps(data)[:200]}")
            return
        finally:
            connection.close()
        if any(sorry in body for sorry in self._sorry) or "Traceback" in body:
            self.unexpected.add(f"{locale}/{name} with {json.dumps(data, ensure_ascii=False)[:300]}")
        if CANARY in body or "root:x:0" in body:
            self.told.add(f"{locale}/{name} with {json.dumps(data, ensure_ascii=False)[:300]}")


def _fitting(kind: dict[str, Any], value: some.SearchStrategy[Any]) -> some.SearchStrategy[Any]:
    """Values of the kind that the endpoint says it takes."""
    if kind.get("type") == "number":
        return some.one_of(some.integers(-3, 30), some.floats(allow_nan=False, allow_infinity=False))
    if kind.get("type") == "array":
        return some.lists(value, max_size=3)
    if kind.get("type") == "boolean":
        return some.booleans()
    return some.text(max_size=20) if kind.get("type") == "string" else value


def listing(folder: Path) -> dict[str, tuple[int, int]]:
    """Size and time of change of every file below `folder`."""
    found = {}
    for path in folder.rglob("*"):
        if not SKIPPED.isdisjoint(path.relative_to(folder).parts):
            continue
        status = path.lstat()
        found[str(path)] = (0 if path.is_dir() else status.st_size, 0 if path.is_dir() else status.st_mtime_ns)
    return found


def own_traces(log: str) -> list[str]:
    """What was raised in our own code, once each, with the line where it happened."""
    ours = re.compile(r'File "[^"]*/(studio/[^"]+|app\.py)", line (\d+)')
    found = set()
    for block in log.split("Traceback (most recent call last):")[1:]:
        lines = block.splitlines()
        end = next((at for at, line in enumerate(lines[1:], 1) if line and not line.startswith(" ")), len(lines) - 1)
        places = [f"{path}:{number}" for path, number in ours.findall("\n".join(lines[:end]))]
        # Every call passes through `guarded`; what Gradio refuses by itself does not come from below it.
        if (
            places
            and not places[-1].startswith("studio/ui/handlers.py")
            and "gradio.exceptions.Error" not in lines[end]
        ):
            found.add(f"{places[-1]}: {lines[end][:200]}")
    return sorted(found)
