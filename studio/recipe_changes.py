"""What differs between the recipe that a run began with and another: dotted keys with both values."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from studio.errors import StudioError
from studio.recipes import Recipe

ENVIRONMENT = "environment.json"
ABSENT = "—"


def changes(then: Any, now: Any) -> list[str]:
    """Every value that differs, as ``stages.0.rates.lora: 0.0002 → 0.001``, in the order of the keys.

    Args:
        then: Plain data, as ``recipe.model_dump(mode="json")`` gives it.
        now: The same of the other recipe.
    """
    before, after = dict(_flat(then)), dict(_flat(now))
    keys = [*before, *(key for key in after if key not in before)]
    return [
        f"{key}: {_shown(before, key)} → {_shown(after, key)}" for key in keys if before.get(key) != after.get(key)
    ]


def check_recipe(run: Path, recipe: Recipe) -> None:
    """Refuse to go on with a run whose recipe was changed since its first start.

    Raises:
        StudioError: ``training.changed``; a run that has not started yet is free to change.
    """
    path = run / ENVIRONMENT
    if not path.is_file():
        return
    then = json.loads(path.read_text(encoding="utf8")).get("recipe")
    if then is not None and (found := changes(then, recipe.model_dump(mode="json"))):
        raise StudioError("training.changed", run=run.name, changes="; ".join(found))


def _flat(data: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(data, dict):
        items = [(str(name), value) for name, value in data.items()]
    elif isinstance(data, list):
        items = [(str(place), value) for place, value in enumerate(data)]
    else:
        yield key, data
        return
    for name, value in items:
        yield from _flat(value, f"{key}.{name}" if key else name)


def _shown(values: dict[str, Any], key: str) -> str:
    return ABSENT if values.get(key) is None else str(values[key])
