"""What a job's log shows: its lines as a terminal would leave them, without tokens and keys."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from pathlib import Path

TAIL_BYTES = 16_384
CHUNK_BYTES = 65_536
LONGEST = 1_048_576
"""Bytes of a line; what a longer one holds beyond is left out, so that no log takes more memory than this."""
HIDDEN = "•••"
_SHORTEST = 6  # of a secret that is looked for as it is: a shorter one would blot out words

_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
_SECRETS = (
    # What a name announces: token=…, "api_key": "…", Authorization: …. A name such as eos_token does not.
    re.compile(
        r"""(?ix) (?<![a-z0-9_-]) (
            (?: (?:hf|hub|hugging_face_hub|access|auth|refresh|id|api|bearer|session)[_-] )? token
            | (?: api|access|secret|private|openai_api|aws_secret_access )[_-]? key
            | (?: client[_-]? )? secret | password | passwd | authorization
        ) (["']? \s* = \s* ["']? | ["'] \s* : \s* ["'] | \s* : \s+ (?:basic\s+|bearer\s+)? (?=[^\s"']{16,}) )
        ([^\s"'&,;<>(){}\[\]]+)"""
    ),
    re.compile(r"(?i)\b(bearer)(\s+)([A-Za-z0-9._~+/=-]{6,})"),
    re.compile(r"(://)([^\s/:@]*:)([^\s/@]+)(?=@)"),
)
_SHAPES = (
    re.compile(r"\b(hf_)[A-Za-z0-9]{6,}"),
    re.compile(r"\b(sk-)[A-Za-z0-9_-]{6,}"),
    re.compile(r"\b(gh[pousr]_)[A-Za-z0-9]{16,}"),
)


def redact(line: str, secrets: Collection[str] = ()) -> str:
    """`line` without anything that looks like a token or key, and without `secrets`, whatever they look like."""
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= _SHORTEST:
            line = line.replace(secret, HIDDEN)
    for shape in _SHAPES:
        line = shape.sub(rf"\1{HIDDEN}", line)
    for named in _SECRETS:
        line = named.sub(rf"\1\2{HIDDEN}", line)
    return line


def tail(path: Path, lines: int, secrets: Collection[str] = ()) -> list[str]:
    """The last `lines` of a log; progress bars that overwrite themselves show only their last state.

    No more than `TAIL_BYTES` are read. A line whose beginning lies before them is left out: half a token that begins
    there could not be told from a word.
    """
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - TAIL_BYTES))
        read = file.read()
    if size > TAIL_BYTES:
        begins = re.search(rb"[\r\n]", read)
        read = b"" if begins is None else read[begins.end() :]
    shown = [redact(_last_state(line), secrets) for line in read.rstrip().split(b"\n")]
    return [line for line in shown if line.strip()][-lines:]


def whole(path: Path, secrets: Collection[str] = ()) -> Iterator[bytes]:
    """The whole log in UTF-8, piece by piece, each of whole lines as `tail` shows them."""
    with path.open("rb") as file:
        left, cut = b"", False
        while chunk := file.read(CHUNK_BYTES):
            *complete, rest = chunk.split(b"\n")
            if complete:
                complete[0] = left if cut else left + complete[0]
                yield "".join(f"{redact(_last_state(line), secrets)}\n" for line in complete).encode()
                left, cut = b"", False
            if not cut:
                left += rest
                left = left[left.rfind(b"\r", 0, len(left) - 1) + 1 :]  # what was overwritten goes
            if len(left) > LONGEST:
                # Cut at a blank: a token cut in half might keep a half that nobody recognises.
                left, cut = left[:LONGEST].rpartition(b" ")[0], True
        if left:
            yield f"{redact(_last_state(left), secrets)}\n".encode()


def _last_state(line: bytes) -> str:
    """What a terminal shows in the end: after the last return of the carriage, without its own commands."""
    text = line.rstrip(b"\r").rpartition(b"\r")[2].decode("utf8", errors="replace")
    return _ESCAPES.sub("", text)
