from __future__ import annotations

from datetime import date

import pytest

from studio.dates import date_text, jalali


@pytest.mark.parametrize(
    ("day", "found"),
    [
        (date(2024, 3, 19), (1402, 12, 29)),
        (date(2024, 3, 20), (1403, 1, 1)),
        (date(2025, 3, 20), (1403, 12, 30)),
        (date(2025, 3, 21), (1404, 1, 1)),
        (date(2026, 9, 22), (1405, 6, 31)),
        (date(2026, 9, 23), (1405, 7, 1)),
        (date(1979, 2, 11), (1357, 11, 22)),
        (date(2030, 3, 20), (1408, 12, 30)),
    ],
)
def test_known_days_of_the_iranian_calendar(day, found) -> None:
    assert jalali(day) == found


def test_a_date_in_both_languages() -> None:
    moment = "2026-11-21T18:00:00+00:00"
    assert date_text("en", moment) == "2026-11-21"
    assert date_text("fa", moment) == "۱۴۰۵/۰۸/۳۰، ۲۰۲۶/۱۱/۲۱"
