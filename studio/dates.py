"""Dates as each language writes them: Jalali first in Persian, with the Gregorian one beside it."""

from __future__ import annotations

from datetime import date, datetime

_LEAP_BREAKS = (1, 5, 9, 13, 17, 22, 26, 30)  # leap years of a 33-year cycle; right from 1925 to 2088
_DIGITS = str.maketrans("0123456789", "۰۱۲۳۴۵۶۷۸۹")


def date_text(locale: str, moment: str) -> str:
    """The day of `moment` (ISO 8601): ``2026-11-21`` in English, ``۱۴۰۵/۰۸/۳۰، ۲۰۲۶/۱۱/۲۱`` in Persian."""
    day = datetime.fromisoformat(moment).date()
    if locale != "fa":
        return day.isoformat()
    year, month, number = jalali(day)
    return f"{year}/{month:02}/{number:02}، {day:%Y/%m/%d}".translate(_DIGITS)


def moment_text(locale: str, seconds: float) -> str:
    """Day and time of day of Unix `seconds` where the studio runs, as in ``2026-11-21 14:05``."""
    moment = datetime.fromtimestamp(seconds).astimezone()
    if locale != "fa":
        return f"{moment:%Y-%m-%d %H:%M}"
    year, month, number = jalali(moment.date())
    return f"{year}/{month:02}/{number:02}، {moment:%H:%M}".translate(_DIGITS)


def jalali(day: date) -> tuple[int, int, int]:
    """Year, month and day of the Iranian calendar."""
    year, new_year = 1403, date(2024, 3, 20)
    days = (day - new_year).days
    while days < 0:
        year -= 1
        days += _length(year)
    while days >= _length(year):
        days -= _length(year)
        year += 1
    if days < 186:
        return year, days // 31 + 1, days % 31 + 1
    return year, (days - 186) // 30 + 7, (days - 186) % 30 + 1


def _length(year: int) -> int:
    return 366 if year % 33 in _LEAP_BREAKS else 365
