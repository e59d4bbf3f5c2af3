"""Python files that a model brings along: never run, unless the studio's owner trusts exactly these files.

Trust is given to the content, not to the name: one letter changed in one file, and it is gone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from studio.errors import StudioError
from studio.settings import Settings

_FILE = "trusted.json"
_CLASS = "AutoModelForCausalLM"


@dataclass(frozen=True, slots=True)
class ForeignCode:
    """The Python files below a model's folder: SHA-256 by name. `trusted` says whether just these may run."""

    files: Mapping[str, str]
    trusted: bool


def is_needed(config: Mapping[str, object]) -> bool:
    """Whether a model's ``config.json`` names a class of its own, and a type that transformers does not know."""
    return _own_class(config) is not None and not _is_known(str(config.get("model_type")))


def read(reference: str, folder: Path, settings: Settings) -> ForeignCode:
    """What a model brings along, and whether it is trusted now."""
    files = {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*.py"))
    }
    return ForeignCode(files, bool(files) and _trusted(settings).get(reference) == files)


def trust(reference: str, folder: Path, settings: Settings, config: Mapping[str, object]) -> ForeignCode:
    """Let the files that lie there now run whenever this model is loaded.

    Raises:
        StudioError: ``code.elsewhere`` if the class is taken from another repository, whose files nobody has looked
            at; ``code.none`` if there is no such file.
    """
    named = _own_class(config) or ""
    if "--" in named:
        raise StudioError("code.elsewhere", reference=reference, place=named.partition("--")[0])
    found = read(reference, folder, settings)
    if not found.files:
        raise StudioError("code.none", reference=reference)
    _write(settings, {**_trusted(settings), reference: dict(found.files)})
    return ForeignCode(found.files, trusted=True)


def distrust(reference: str, settings: Settings) -> None:
    """Take trust back; what is loaded already stays loaded until it is unloaded."""
    _write(settings, {name: files for name, files in _trusted(settings).items() if name != reference})


def _own_class(config: Mapping[str, object]) -> str | None:
    named = config.get("auto_map")
    found = named.get(_CLASS) if isinstance(named, dict) else None
    return found if isinstance(found, str) else None


def _is_known(kind: str) -> bool:
    from transformers import CONFIG_MAPPING

    return kind in CONFIG_MAPPING


def _trusted(settings: Settings) -> dict[str, dict[str, str]]:
    try:
        found = json.loads((settings.workspace / _FILE).read_text(encoding="utf8"))
    except (FileNotFoundError, ValueError):
        return {}  # a broken file trusts nobody
    return found if isinstance(found, dict) else {}


def _write(settings: Settings, trusted: Mapping[str, Mapping[str, str]]) -> None:
    aside = settings.workspace / f"{_FILE}.new"
    aside.write_text(json.dumps(trusted, indent=2), encoding="utf8")
    aside.replace(settings.workspace / _FILE)
