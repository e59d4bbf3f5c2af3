"""A vocabulary on disk: the extended tokenizer's files and vocabulary.json, from which any smaller size is cut."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from studio.errors import StudioError
from studio.models.files import TOKENIZER
from studio.tokenizer.export import Extension, extend, strip
from studio.tokenizer.families import MODEL, Family, Kind, read_family
from studio.tokenizer.sentencepiece import extend_model
from studio.workspace import disk_error

FILE = "vocabulary.json"
_COMPANIONS = ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "chat_template.jinja")

Method = Literal["continued", "independent", "add_tokens"]


class Vocabulary(BaseModel):
    """What vocabulary.json says.

    `base_hash` is the SHA-256 of the base's tokenizer.json. `first` is the id of the first new piece. `letters` and
    `merges` are the new pieces, each kind in the order it was learned; `places` says where among all of them each
    letter stands, and without it letters come first. `counts` says of each piece how often it stood in the corpus when
    it was learned. `curve[k]` is the number of tokens of the `words` words with the target script after ``k`` pieces.
    `overlap` is the share of a separately trained vocabulary that the base had already. `corpus` names the files and
    datasets it was learned from.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    base: str
    base_hash: str
    kind: Kind
    method: Method = "continued"
    script: str
    first: int
    base_vocabulary: int
    base_merges: int
    base_model_bytes: int = 0
    letters: list[str]
    merges: list[tuple[str, str]]
    places: list[int] = []
    counts: list[int]
    curve: list[int]
    words: int
    added_tokens: list[str] = []
    overlap: float | None = None
    corpus: list[str] = []

    @property
    def extension(self) -> Extension:
        return Extension(self.letters, self.merges, self.places)

    @property
    def added(self) -> int:
        """How many ids are new."""
        return len(self.letters) + len(self.merges) + len(self.added_tokens)

    @property
    def unused(self) -> int:
        """Pieces that the corpus uses only as steps to longer ones: every time one stood there, another took it in."""
        left = dict(zip(self.extension.pieces, self.counts, strict=True))
        for merge, rank in zip(self.merges, self.extension.merge_ranks, strict=True):
            for half in merge:
                if half in left:
                    left[half] -= self.counts[rank]
        # Runs of one letter overlap and may count a step twice, hence "at most".
        return sum(count <= 0 for count in left.values())

    def first_pieces(self, size: int) -> Vocabulary:
        """The same, `size` pieces long."""
        shorter = self.extension.first(size)
        return self.model_copy(
            update={
                "letters": shorter.letters,
                "merges": shorter.merges,
                "places": shorter.places,
                "counts": self.counts[:size],
                "curve": self.curve[: size + 1],
            }
        )


def write_vocabulary(family: Family, vocabulary: Vocabulary, out: Path, definition: dict[str, Any]) -> None:
    """Write the tokenizer `definition`, extended from `family`, and its vocabulary.json into the new folder `out`.

    Raises:
        StudioError: ``vocabulary.out_exists``, ``disk.full`` or ``workspace.not_writable``; `out` is then untouched.
    """
    check_out(out)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        incoming = Path(tempfile.mkdtemp(prefix=".incoming-", dir=out.parent))
        try:
            incoming.chmod(0o755)  # mkdtemp closes the folder to everyone else
            for name in _COMPANIONS:
                if (family.folder / name).is_file():
                    shutil.copyfile(family.folder / name, incoming / name)
            _dump(definition, incoming / TOKENIZER)
            if family.model_file is not None and vocabulary.method == "continued":
                added = family.definition.get("added_tokens") or []
                pieces = vocabulary.extension.pieces
                data = extend_model(family.model_file.read_bytes(), vocabulary.first, pieces, added)
                (incoming / MODEL).write_bytes(data)
            (incoming / FILE).write_text(vocabulary.model_dump_json() + "\n", encoding="utf8")
            if out.is_dir():
                out.rmdir()
            incoming.rename(out)
        finally:
            shutil.rmtree(incoming, ignore_errors=True)
    except OSError as error:
        raise disk_error(error, out.parent) from error


def read_vocabulary(folder: Path) -> Vocabulary:
    """Read vocabulary.json.

    Raises:
        StudioError: ``vocabulary.not_a_vocabulary`` if the folder holds none that is whole.
    """
    try:
        return Vocabulary.model_validate_json((folder / FILE).read_bytes())
    except (OSError, ValidationError) as error:
        raise StudioError("vocabulary.not_a_vocabulary", folder=str(folder)) from error


def base_of(folder: Path, vocabulary: Vocabulary) -> Family:
    """The tokenizer before it was extended, made from the extended one; its special tokens stay pinned.

    Raises:
        StudioError: As `read_family`.
    """
    family = read_family(folder)
    definition = strip(family.definition, vocabulary.first, vocabulary.added, vocabulary.base_merges)
    definition["added_tokens"] = [
        token for token in definition.get("added_tokens") or [] if token["id"] < vocabulary.first
    ]
    return Family(vocabulary.kind, folder, definition, vocabulary.first, family.model_file)


def cut(folder: Path, size: int, out: Path) -> Vocabulary:
    """Write the first `size` pieces of a learned vocabulary as a vocabulary of their own.

    The files are the same, to the byte, as if only `size` had been learned.

    Raises:
        StudioError: ``vocabulary.not_a_vocabulary``, ``vocabulary.too_large``, ``vocabulary.not_cut`` for one that
            is not a prefix at any size, ``vocabulary.out_exists`` or as `write_vocabulary`.
    """
    whole = read_vocabulary(folder)
    if whole.method != "continued":
        raise StudioError("vocabulary.not_cut", method=whole.method)
    check_out(out)
    if not 0 <= size <= whole.added:
        raise StudioError("vocabulary.too_large", size=size, available=whole.added)
    smaller = whole.first_pieces(size)
    base = base_of(folder, whole)
    definition = extend(base.definition, smaller.extension)
    if base.model_file is None:
        write_vocabulary(base, smaller, out, definition)
        return smaller
    with tempfile.TemporaryDirectory() as scratch:
        original = Path(scratch) / MODEL
        original.write_bytes(base.model_file.read_bytes()[: whole.base_model_bytes])
        restored = Family(base.kind, folder, base.definition, base.rows, original)
        write_vocabulary(restored, smaller, out, definition)
    return smaller


def check_out(out: Path) -> None:
    """Refuse a folder that holds something.

    Raises:
        StudioError: ``vocabulary.out_exists``.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise StudioError("vocabulary.out_exists", out=str(out))


def hash_of(folder: Path) -> str:
    """SHA-256 of the tokenizer.json in `folder`."""
    return hashlib.sha256((folder / TOKENIZER).read_bytes()).hexdigest()


def _dump(definition: dict[str, Any], path: Path) -> None:
    # Indented and not escaped, as tokenizers writes it: the files stay comparable line by line.
    # Straight into the file: the whole text of Gemma's, and the pieces it is put together from, take 220 MB.
    with path.open("w", encoding="utf8") as file:
        json.dump(definition, file, ensure_ascii=False, indent=2)
