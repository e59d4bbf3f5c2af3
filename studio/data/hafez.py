"""The ghazals of Hafez, from the package `hafez` (MIT), if it is installed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from studio.data.sample import Text
from studio.errors import StudioError

PACKAGE = "hafez"
LICENCE = "MIT"


def read_ghazals(package: str = PACKAGE) -> Iterator[Text]:
    """Every ghazal as one text, a hemistich on each line.

    The package's data file is read without importing the package, which wants a network library to load.

    Raises:
        StudioError: ``data.package_missing``.
    """
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise StudioError("data.package_missing", package=package)
    poems = json.loads((Path(spec.origin).parent / "data" / "hafez.json").read_text(encoding="utf8"))
    for poem in poems:
        yield Text("\n".join(line.strip() for line in poem["poem"] if line.strip()))
