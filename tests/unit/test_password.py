"""The owner's password: hashed, tried at a measured pace, remembered by process and not by disk."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from studio import password
from studio.errors import StudioError
from studio.password import ATTEMPTS, Logins
from studio.settings import ROOT, Settings

RIGHT = "دو-گربه-روی-دیوار"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    found = Settings(tmp_path)
    password.set_password(found, RIGHT)
    return found


def test_only_a_hash_is_kept_and_only_for_this_user(settings: Settings) -> None:
    file = settings.workspace / "owner.json"
    assert RIGHT not in file.read_text(encoding="utf8")
    assert json.loads(file.read_text())["argon2"].startswith("$argon2id$")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert password.is_password(settings, RIGHT)
    assert not password.is_password(settings, RIGHT + " ")
    assert [path.name for path in settings.workspace.iterdir()] == ["owner.json"]


def test_a_short_one_is_refused_and_the_old_one_stays(settings: Settings) -> None:
    with pytest.raises(StudioError, match=r"auth\.short_password"):
        password.set_password(settings, "123456789")
    assert password.is_password(settings, RIGHT)


def test_a_login_lasts_until_it_is_left(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    logins = Logins()
    token, other = logins.enter(settings, RIGHT), logins.enter(settings, RIGHT)
    assert token != other
    assert logins.knows(token)
    assert not logins.knows("")
    assert not Logins().knows(token), "another process knows nothing"
    assert token not in repr(logins)
    logins.leave(token)
    assert not logins.knows(token)
    now = password.time.monotonic()
    monkeypatch.setattr(password.time, "monotonic", lambda: now + password.LOGIN_SECONDS + 5)
    assert not logins.knows(other)


def test_guessing_is_slowed_down_however_many_guess_at_once(settings: Settings) -> None:
    logins = Logins()

    def guess(number: int) -> str:
        with pytest.raises(StudioError) as refused:
            logins.enter(settings, f"guess number {number}")
        return refused.value.code

    with ThreadPoolExecutor(8) as pool:
        codes = list(pool.map(guess, range(20)))
    assert codes.count("auth.wrong_password") == ATTEMPTS
    assert codes.count("auth.too_many_attempts") == 20 - ATTEMPTS
    with pytest.raises(StudioError, match=r"auth\.too_many_attempts"):
        logins.enter(settings, RIGHT)


def test_without_a_password_nobody_enters(tmp_path: Path) -> None:
    with pytest.raises(StudioError, match=r"auth\.wrong_password"):
        Logins().enter(Settings(tmp_path), "")


def test_the_command_line_sets_and_removes_it(tmp_path: Path) -> None:
    def owner(*words: str, typed: str = "") -> tuple[int, dict[str, object]]:
        call = [sys.executable, "-m", "studio", "owner", *words, "--json", "--workspace", str(tmp_path)]
        done = subprocess.run(call, input=typed, cwd=ROOT, capture_output=True, text=True, check=False)
        assert RIGHT not in done.stdout + done.stderr
        return done.returncode, json.loads(done.stdout)

    assert owner(typed="short\n")[1]["error"] == "auth.short_password"
    assert owner(typed=f"{RIGHT}\n") == (0, {"password": True})
    assert password.is_password(Settings(tmp_path), RIGHT)
    assert owner("--remove") == (0, {"password": False})
    assert not password.has_password(Settings(tmp_path))
