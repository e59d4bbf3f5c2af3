"""Every sentence of the studio, in Persian and English, with numbers written as each language writes them."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from string import Formatter
from typing import Any, Literal

from studio.errors import StudioError

Locale = Literal["fa", "en"]
LOCALES: tuple[Locale, ...] = ("fa", "en")
FOLDER = Path(__file__).resolve().parent.parent / "assets" / "locales"

SIZES = ("needed", "free", "limit_bytes")
"""Details of errors that are bytes and are said in the unit that fits."""

_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]")
"""Control characters and those that turn a direction about: «cod.exe» can look like «exe.doc»."""

_PERSIAN = str.maketrans("0123456789,.", "۰۱۲۳۴۵۶۷۸۹٬٫")


@cache
def sentences(locale: str) -> dict[str, str]:
    """All sentences of `locale` under their dotted keys."""
    flat: dict[str, str] = {}

    def walk(node: dict[str, Any], prefix: str) -> None:
        for key, value in node.items():
            if isinstance(value, dict):
                walk(value, f"{prefix}{key}.")
            else:
                flat[prefix + key] = value

    walk(json.loads((FOLDER / f"{locale}.json").read_text(encoding="utf8")), "")
    return flat


def number(locale: str, value: float, digits: int | None = None) -> str:
    """`value` with grouped thousands: ``1,234.5`` in English, ``۱٬۲۳۴٫۵`` in Persian.

    Args:
        locale: ``"fa"`` or ``"en"``.
        value: The number; whole floats lose their point.
        digits: Digits after the point; by default none for whole numbers, else up to three significant ones.
    """
    if digits is not None:
        text = f"{value:,.{digits}f}"
    elif float(value).is_integer():
        text = f"{int(value):,}"
    elif abs(value) >= 100:
        text = f"{value:,.0f}"
    else:
        text = f"{value:.3g}" if abs(value) >= 0.001 else f"{value:.1e}"
    return text.translate(_PERSIAN) if locale == "fa" else text


def bytes_text(locale: str, value: float) -> str:
    """`value` bytes in the unit that fits: ``270 MB``, ``۱٫۵ گیگابایت``."""
    for unit, size in (("gb", 1e9), ("mb", 1e6), ("kb", 1e3)):
        if value >= size:
            return say(locale, f"units.{unit}", value=number(locale, round(value / size, 1)))
    return say(locale, "units.bytes", value=number(locale, int(value)))


def energy_text(locale: str, joules: float) -> str:
    """`joules` in watt-hours, as electricity is billed: ``12.5 Wh``, ``۱٫۲ کیلووات‌ساعت``."""
    hours = joules / 3600
    if hours >= 1000:
        return say(locale, "units.kwh", value=number(locale, hours / 1000, 1))
    return say(locale, "units.wh", value=number(locale, hours, 1))


def duration_text(locale: str, seconds: float) -> str:
    """`seconds` in words, rounded to what matters: ``2 h 10 min``, ``۵ دقیقه``."""
    if seconds < 60:
        return say(locale, "units.seconds", value=max(1, round(seconds)))
    minutes = round(seconds / 60)
    if minutes < 60:
        return say(locale, "units.minutes", value=minutes)
    return say(locale, "units.hours_minutes", hours=minutes // 60, minutes=minutes % 60)


def say(locale: str, key: str, /, **details: Any) -> str:
    """The sentence `key` in `locale`, its placeholders filled; numbers take the language's digits.

    Raises:
        KeyError: If the sentence does not exist; a test holds both languages to the same keys.
    """
    shown = {
        name: number(locale, value) if isinstance(value, int | float) and not isinstance(value, bool) else value
        for name, value in details.items()
    }
    return sentences(locale)[key].format(**shown)


def explain(locale: str, error: StudioError) -> str:
    """The sentence for `error`: what happened and what to do.

    Details that a sentence does not use are left out; a code without a sentence is our mistake and is shown as it is.
    A `fault` among them is what a recipe does wrong: its sentence under ``faults.<fault>`` becomes the `reason`.
    """
    template = sentences(locale).get(f"errors.{error.code}")
    if template is None:
        return str(error)
    wanted = {field for _, field, _, _ in Formatter().parse(template) if field}
    missing = {name: "?" for name in wanted - error.details.keys()}
    sizes = {
        name: bytes_text(locale, value)
        for name, value in error.details.items()
        if name in SIZES and isinstance(value, int)
    }
    said = {name: visible(value) for name, value in error.details.items() if isinstance(value, str)}
    details = {**error.details, **said, **missing, **sizes}
    if (fault := f"faults.{details.get('fault')}") in sentences(locale):
        details["reason"] = say(locale, fault, **details)
    return say(locale, f"errors.{error.code}", **details)


def visible(text: str) -> str:
    """A name that came from outside, without what could make it, or the sentence around it, look like another."""
    return _UNSEEN.sub("\ufffd", text)


def as_locale(text: str | None) -> Locale:
    """`text` as a known locale, English when it is none of ours."""
    return "fa" if text == "fa" else "en"
