"""The owner's password: kept as an argon2 hash, tried at a measured pace, remembered for a while by a cookie."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

from studio.errors import StudioError
from studio.settings import Settings

LEAST_LETTERS = 10
ATTEMPTS, ATTEMPT_SECONDS = 5, 60.0
"""Wrong passwords that may be tried within so many seconds, by everybody together; argon2 itself takes 50 ms each."""
LOGIN_SECONDS = 12 * 3600.0
_FILE = "owner.json"


def has_password(settings: Settings) -> bool:
    """Whether the owner has set one."""
    return _path(settings).is_file()


def is_open(settings: Settings) -> bool:
    """Whether others than who sits at this machine may come in: by the password, or by a Space's login."""
    return has_password(settings) or (settings.space is not None and settings.space.login)


def set_password(settings: Settings, password: str) -> None:
    """Keep the argon2id hash of `password`, readable by this user only; logins of a running app end with its next one.

    Raises:
        StudioError: ``auth.short_password``.
    """
    from argon2 import PasswordHasher

    if len(password) < LEAST_LETTERS:
        raise StudioError("auth.short_password", letters=LEAST_LETTERS)
    path = _path(settings)
    aside = path.with_suffix(".new")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf8") as file:
        json.dump({"argon2": PasswordHasher().hash(password)}, file)
    aside.replace(path)


def remove_password(settings: Settings) -> None:
    """Forget the password; the studio can then be reached from this machine only."""
    _path(settings).unlink(missing_ok=True)


def is_password(settings: Settings, password: str) -> bool:
    """Whether `password` is the owner's."""
    from argon2 import PasswordHasher
    from argon2.exceptions import VerificationError

    try:
        kept = str(json.loads(_path(settings).read_text(encoding="utf8"))["argon2"])
        return PasswordHasher().verify(kept, password)
    except (FileNotFoundError, VerificationError):
        return False


def _path(settings: Settings) -> Path:
    return settings.workspace / _FILE


@dataclass
class Logins:
    """Who has given the password to this process: random tokens, of which only hashes are held, in memory only."""

    _until: dict[str, float] = field(default_factory=dict)
    _wrong: deque[float] = field(default_factory=deque)
    _lock: Lock = field(default_factory=Lock)

    def enter(self, settings: Settings, password: str) -> str:
        """A new login's token.

        Raises:
            StudioError: ``auth.too_many_attempts`` or ``auth.wrong_password``.
        """
        now = time.monotonic()
        with self._lock:
            while self._wrong and self._wrong[0] < now - ATTEMPT_SECONDS:
                self._wrong.popleft()
            if len(self._wrong) >= ATTEMPTS:
                raise StudioError("auth.too_many_attempts", seconds=round(self._wrong[0] + ATTEMPT_SECONDS - now) + 1)
            # Counted before it is tried: a hundred at once would otherwise all find the door open.
            self._wrong.append(now)
        if not is_password(settings, password):
            raise StudioError("auth.wrong_password")
        token = secrets.token_urlsafe(32)
        with self._lock:
            self._wrong.clear()
            self._until = {kept: until for kept, until in self._until.items() if until > now}
            self._until[_hash(token)] = now + LOGIN_SECONDS
        return token

    def knows(self, token: str) -> bool:
        """Whether `token` is of a login that still lasts."""
        with self._lock:
            return self._until.get(_hash(token), 0.0) > time.monotonic()

    def leave(self, token: str) -> None:
        """End a login."""
        with self._lock:
            self._until.pop(_hash(token), None)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
