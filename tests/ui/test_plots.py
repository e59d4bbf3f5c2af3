"""Figures as plain data, and parts that escape what they are given; no browser."""

from __future__ import annotations

import json

import pytest

from studio.ui import parts, plots

HOSTILE = '<img src=x onerror="alert(1)">'


def test_histogram_counts_every_value() -> None:
    spec = plots.histogram([1, 2, 2, 3, 100], title="t", x="x", y="y", bins=10, marks=[(50, "limit")])
    assert sum(spec["series"][0]["y"]) == 5
    assert spec["marks"] == [{"x": 50, "text": "limit"}]
    assert plots.histogram([], title="t", x="x", y="y")["series"][0]["x"] == []
    json.dumps(spec)


def test_bars_and_lines_keep_names_and_order() -> None:
    spec = plots.bars({"b": 2.0, "a": 1.0}, title="t", sideways=True)
    assert spec["series"][0]["y"] == ["b", "a"]
    spec = plots.lines({"loss": ([1, 2], [3.0, 2.5])}, title="t", x="x", y="y")
    assert spec["series"] == [{"name": "loss", "x": [1, 2], "y": [3.0, 2.5]}]


@pytest.mark.parametrize(
    "html",
    [
        parts.card(HOSTILE, HOSTILE, note=HOSTILE, actions=HOSTILE),
        parts.figures([(HOSTILE, HOSTILE, HOSTILE)]),
        parts.chips([HOSTILE]),
        parts.progress_bar(0.5, HOSTILE),
        parts.progress_bar(None, HOSTILE),
        parts.empty_state(HOSTILE, HOSTILE, example=HOSTILE, action=parts.go_button(HOSTILE, HOSTILE)),
        parts.banner(HOSTILE, HOSTILE, tone="bad"),
        parts.log_view([HOSTILE]),
        parts.key_values([(HOSTILE, HOSTILE)]),
        parts.table([[HOSTILE]], [HOSTILE], caption=HOSTILE),
        parts.steps_rail([(HOSTILE, "done")]),
        parts.samples([(HOSTILE, HOSTILE, HOSTILE)]),
        parts.heading(HOSTILE, HOSTILE, term=HOSTILE),
        parts.join([parts.paragraph(HOSTILE), parts.ltr(HOSTILE), parts.code(HOSTILE), HOSTILE]),
        parts.tab_state(HOSTILE, HOSTILE),
    ],
)
def test_parts_escape(html: str) -> None:
    assert "<img" not in html
    assert 'onerror="' not in html


def test_markup_passes_once() -> None:
    inner = parts.paragraph("a & b")
    assert parts.card("t", inner).count("a &amp; b") == 1


def test_chips_show_what_is_invisible() -> None:
    html = parts.chips([" می\u200cرود", "\n"], marked=[True, False])
    assert "␣" in html
    assert "⸱" in html
    assert "⏎" in html
    assert html.count('class="marked"') == 1
    with pytest.raises(ValueError, match="zip"):
        parts.chips(["a"], marked=[True, False])


@pytest.mark.parametrize("locale", ["fa", "en"])
@pytest.mark.parametrize("state", parts.STATES)
def test_every_state_has_a_word(locale: str, state: str) -> None:
    assert f"pill {state}" in parts.status_pill(locale, state)


def test_progress_is_bounded_and_in_the_page_digits() -> None:
    assert 'aria-valuenow="100"' in parts.progress_bar(7.0, "x")
    assert "۴۲٪" in parts.progress_bar(0.42, "x", locale="fa", eta_seconds=90)
