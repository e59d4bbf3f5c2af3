"""Logs are shown as a terminal would leave them, and never with a token or key."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from studio.errors import StudioError
from studio.jobs import log
from studio.jobs.log import HIDDEN, LONGEST, TAIL_BYTES, redact, tail, whole
from studio.jobs.store import NewJob
from studio.services import jobs, logs, training
from studio.services.studio import Studio, open_studio
from studio.settings import Settings

PLAIN = "plainlookingword42"
SECRETS = (
    "hf_AbCdEfGhIjKlMnOpQrStUvWxYz012345",
    "sk-proj-AbCd_1234-efgh5678",
    "ghp_0123456789abcdefghij0123456789abcdef",
    PLAIN,
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "log.txt"


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("around", ["{}", "login with {} now", "x={}&y=1", "«{}»", "url?q={}#a", '["{}"]'])
def test_what_looks_like_a_token_and_the_one_held_are_hidden(secret: str, around: str) -> None:
    shown = redact(around.format(secret), [PLAIN])
    assert secret not in shown
    assert secret[4:] not in shown
    assert HIDDEN in shown
    assert redact(around.format("word"), [PLAIN]) == around.format("word")


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("Authorization: Bearer abc.def-123_456", "Authorization: Bearer •••"),
        ("token=whatever123&page=2", "token=•••&page=2"),
        ("HF_TOKEN=whatever123", "HF_TOKEN=•••"),
        ("hf_token = 'whatever123'", "hf_token = '•••'"),
        ('{"api_key": "whatever123", "n": 3}', '{"api_key": "•••", "n": 3}'),
        ("password=hunter22", "password=•••"),
        ("GET https://me:hunter22@mirror.example/simple", "GET https://me:•••@mirror.example/simple"),
        ("authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "authorization: Basic •••"),
    ],
)
def test_what_a_name_announces_is_hidden(line: str, shown: str) -> None:
    assert redact(line) == shown


@pytest.mark.parametrize(
    "line",
    [
        "recipe.invalid(key='lora.rang', fault='extra_forbidden')",
        "eos_token=<|im_end|> pad_token='</s>' bos_token_id=1",
        "new_tokens=4000 tokens=12 token: 5",
        "loss 2.31, 1,024 tokens/s, disk-usage 12",
        "job 3: train «first_steps-1», attempt 1",
        "http://127.0.0.1:7860/fa/?tab=jobs",
    ],
)
def test_what_is_no_secret_stays(line: str) -> None:
    assert redact(line) == line


def test_a_bar_that_overwrites_itself_shows_its_last_state(file: Path) -> None:
    file.write_bytes(b"start\n 10%|#   \r 50%|##  \r100%|####\n\x1b[A\x1b[2Kwindows\r\nnow  5%|\r 9%|#\r")
    lines = ["start", "100%|####", "windows", " 9%|#"]
    assert tail(file, 10) == lines
    assert b"".join(whole(file)).decode().splitlines() == lines
    assert tail(file, 2) == lines[2:]


def test_a_tail_never_begins_within_a_token(file: Path) -> None:
    """A token cut by the window has lost what it is told by."""
    for before in range(40):
        file.write_text("x" * 50 + " " + PLAIN + "\n" + "y" * (TAIL_BYTES - before) + "\nlast\n")
        shown = tail(file, 5, [PLAIN])
        assert shown[-1] == "last"
        assert not any("word42" in line or "ookingw" in line for line in shown)
    file.write_text("z" * (2 * TAIL_BYTES))
    assert tail(file, 5) == []


@given(some.integers(0, 70_000), some.sampled_from(SECRETS))
def test_no_boundary_of_reading_shows_a_secret(
    tmp_path_factory: pytest.TempPathFactory, before: int, secret: str
) -> None:
    file = tmp_path_factory.getbasetemp() / "boundary.txt"
    file.write_text("a " * (before // 2) + secret + " end\n" + secret)
    told = b"".join(whole(file, [PLAIN])).decode()
    assert secret not in told
    assert told.count(HIDDEN) == 2
    assert told.endswith("\n")


def test_a_line_without_end_takes_little_memory_and_shows_no_half_of_a_secret(file: Path) -> None:
    filler = "word " * ((LONGEST - 8) // 5)
    file.write_text(filler + PLAIN + " and more" * 100_000 + "\nnext\n")
    first, second = b"".join(whole(file, [PLAIN])).decode().splitlines()
    assert second == "next"
    assert len(first) <= LONGEST
    assert PLAIN[:6] not in first
    assert "word42" not in first


def test_what_was_read_after_a_cut_is_left_out_to_the_end_of_the_line(file: Path) -> None:
    """The second half of a token at the edge of a piece, with room for it in what the cut had left."""
    begin = "word " * ((LONGEST - 6000) // 5)
    edge = LONGEST + log.CHUNK_BYTES
    filler = "x" * (edge - len(begin) - 8) + " "
    file.write_text(begin + filler + PLAIN + " end " + "y" * 2 * log.CHUNK_BYTES + "\nnext\n")
    first, second = b"".join(whole(file, [PLAIN])).decode().splitlines()
    assert second == "next"
    assert "word42" not in first
    assert first.endswith("word")


@pytest.fixture
def studio(tmp_path: Path) -> Studio:
    opened = open_studio(Settings(tmp_path / "workspace"))
    opened.vault.token = PLAIN
    return opened


def test_the_log_of_a_job_is_that_of_its_row(studio: Studio, tmp_path: Path) -> None:
    job = studio.jobs.add(NewJob("import", "one", {}))
    with pytest.raises(StudioError, match=r"job\.no_log"):
        logs.whole(studio, job)
    (studio.settings.logs / f"job-{job}.txt").write_text(f"begun with {PLAIN}\n")
    assert b"".join(logs.whole(studio, job)) == f"begun with {HIDDEN}\n".encode()
    assert logs.tail(studio, jobs.show(studio, job)) == [f"begun with {HIDDEN}"]
    outside = tmp_path / "outside.txt"
    outside.write_text("not ours")
    linked = studio.jobs.add(NewJob("import", "two", {}))
    (studio.settings.logs / f"job-{linked}.txt").symlink_to(outside)
    with pytest.raises(StudioError, match=r"job\.no_log"):
        logs.whole(studio, linked)
    with pytest.raises(StudioError, match=r"job\.unknown"):
        logs.whole(studio, 99)


def test_the_log_on_the_board_of_a_run_hides_them_too(studio: Studio) -> None:
    folder = studio.settings.runs / "r"
    folder.mkdir(parents=True)
    (folder / "log.txt").write_text(f"a {PLAIN} b {SECRETS[0]}\n")
    assert training.log_lines(studio, "r") == [f"a {HIDDEN} b hf_{HIDDEN}"]
    assert log.HIDDEN == HIDDEN
