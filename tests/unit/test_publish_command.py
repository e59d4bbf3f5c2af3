"""``publish`` in a terminal, with a real worker, against a strict Hub on this machine."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from studio.settings import ROOT
from tests.hub_server import SIGNATURE, Refusal
from tests.live import command, plain
from tests.unit.publish.desk import TOKEN, TOLD, Desk, data, log_in
from tests.unit.publish.desk import desk as desk


def test_dry_run_shows_what_publishing_then_does(desk: Desk) -> None:
    folder = desk.export()
    log_in(desk)
    dry = command(desk.workspace, "publish", "first-1", "--to", "sara/fa", "--dry-run")
    assert set(dry) >= TOLD
    assert (dry["exists"], dry["revision"], dry["problems"], dry["licences"]) == (False, None, [], [])
    assert {each["name"] for each in dry["files"]} == {"model.safetensors", "config.json", "README.md"}
    assert desk.hub.repositories == {}
    told = command(desk.workspace, "publish", "first-1", "--to", "sara/fa", "--message", "نخستین")
    assert set(told) >= TOLD
    assert told["state"] == "done"
    assert told["files"] == dry["files"]
    assert told["bytes"] == dry["bytes"]
    assert told["checks"] == {"files": 3, "sha256": 1, "git_sha1": 2}
    head = desk.hub.repositories["sara/fa"].head
    assert (told["revision"], head.message, told["private"]) == (head.oid, "نخستین", True)
    assert head.files["model.safetensors"].content == (folder / "model.safetensors").read_bytes()
    said = plain(desk.workspace, "publish", "run:first-1", "--to", "sara/fa", "--dry-run", "--language", "fa")
    assert "= model.safetensors" in said.stdout
    assert "فرستاده نشد" in said.stdout


def test_refusals_of_the_command_are_sentences(desk: Desk) -> None:
    missing = command(desk.workspace, "publish", "first-1", "--to", "sara/fa", "--what", "gguf", status=1)
    assert missing["error"] == "publish.not_made"
    assert "studio export run:first-1 --gguf" in missing["message"]
    desk.export()
    bad = command(desk.workspace, "publish", "first-1", "--to", "sara/نام", status=1)
    assert bad["error"] == "hub.bad_repo"
    nobody = command(desk.workspace, "publish", "first-1", "--to", "sara/fa", status=1)
    assert nobody["error"] == "hub.no_login"
    other = command(desk.workspace, "publish", "run:first-1/chat", "--to", "sara/fa", status=1)
    assert other["error"] == "publish.other_run"
    assert desk.hub.repositories == {}


def test_licences_are_told_and_must_be_accepted(desk: Desk) -> None:
    desk.export()
    data(desk.workspace, "poems", "cc-by-nc-4.0")
    log_in(desk)
    refused = command(desk.workspace, "publish", "first-1", "--to", "sara/fa", status=1)
    assert (refused["error"], refused["details"]) == ("publish.licence_asks", {"subjects": "poems (cc-by-nc-4.0)"})
    said = plain(desk.workspace, "publish", "first-1", "--to", "sara/fa", "--dry-run", LC_ALL="en_US.UTF-8")
    assert "poems (cc-by-nc-4.0) is for non-commercial use only" in said.stderr
    told = command(desk.workspace, "publish", "first-1", "--to", "sara/fa", "--accept-licence")
    assert told["licences"] == ["non_commercial"]


def test_token_is_in_memory_only(desk: Desk) -> None:
    """While a worker uploads and afterwards: no file, log, row, command line or environment holds it."""
    desk.export(size=400_000)
    desk.hub.seconds_per_piece = 0.12
    desk.hub.refusals = [
        Refusal("PUT /lfs/", 503, 1),
        Refusal("POST .*/commit/", 503, 1),
    ]  # which logs like to tell of
    log_in(desk)
    words = [
        sys.executable,
        "-m",
        "studio",
        "publish",
        "first-1",
        "--to",
        "sara/fa",
        "--workspace",
        str(desk.workspace),
    ]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        give_up = time.monotonic() + 60
        while desk.hub.received.total() == 0 and time.monotonic() < give_up:
            time.sleep(0.05)
        (Path(os.environ["HF_HOME"]) / "token").unlink()  # the login's own file is not ours to hide
        workers = [pid for pid in processes() if str(desk.workspace).encode() in pid.joinpath("cmdline").read_bytes()]
        assert len(workers) >= 2, "the command and its worker"
        during = holders(desk.workspace)
        assert desk.hub.received.total() < 1_600_000, "it was looked at while it ran"
        out, err = running.communicate(timeout=120)
    assert running.returncode == 0, err
    assert during == holders(desk.workspace) == []
    assert TOKEN.encode() not in out + err
    assert desk.hub.repositories["sara/fa"].head.files["model.safetensors"].large


def processes() -> list[Path]:
    return [each for each in Path("/proc").iterdir() if each.name.isdecimal() and readable(each / "environ")]


def readable(path: Path) -> bool:
    try:
        return bool(path.read_bytes()) or True
    except OSError:
        return False


def holders(workspace: Path) -> list[str]:
    """Files below the workspace and entries of the process list with a token or a signed address in them."""
    places = [path for path in workspace.rglob("*") if path.is_file()]
    places += [each / name for each in processes() for name in ("cmdline", "environ")]
    found = []
    for place in places:
        try:
            if any(secret.encode() in place.read_bytes() for secret in (TOKEN, SIGNATURE)):
                found.append(str(place))
        except OSError:  # it ended meanwhile
            continue
    return found
