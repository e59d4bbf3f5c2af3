"""Curves as a picture: valid XML without scripts, thinned, with round values at the axes."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from studio.publish.cards.curve_picture import POINTS, Line, Panel, _ticks, picture

SVG = "{http://www.w3.org/2000/svg}"


def drawn(lines: list[Line], locale: str = "en", marks: tuple[tuple[str, int], ...] = ()) -> ElementTree.Element:
    return ElementTree.fromstring(picture(locale, [Panel("Loss", lines)], marks, "step"))  # type: ignore[arg-type]


def test_long_lines_are_thinned_and_keep_their_highest_point() -> None:
    points = [(step, 9.0 if step == 7_777 else 2 + step / 20_000) for step in range(20_000)]
    (line,) = drawn([Line("Loss", points)]).iter(f"{SVG}polyline")
    shown = [tuple(map(float, each.split(","))) for each in line.attrib["points"].split()]
    assert len(shown) <= POINTS
    assert min(y for _, y in shown) < 80, "the peak stands near the upper edge"
    assert [x for x, _ in shown] == sorted(x for x, _ in shown)


def test_every_point_lies_within_the_picture_and_the_numbers_are_the_language_s() -> None:
    lines = [Line("فارسی", [(0, 2.0), (60, 1.5)]), Line("پایه", level=2.25, like=0)]
    root = drawn(lines, "fa", (("chat", 0), ("more", 30)))
    _, _, width, height = map(float, root.attrib["viewBox"].split())
    for line in root.iter(f"{SVG}polyline"):
        for x, y in (map(float, each.split(",")) for each in line.attrib["points"].split()):
            assert 0 <= x <= width
            assert 0 <= y <= height
    texts = [text.text or "" for text in root.iter(f"{SVG}text")]
    assert "۱٫۶" in "".join(texts)
    assert {"chat", "more", "step", "فارسی", "پایه"} <= set(texts)
    assert not any(digit in "".join(texts) for digit in "0123456789")


def test_names_stay_names() -> None:
    root = drawn([Line('</text><script>alert(1)</script>&"', [(0, 1.0), (1, 2.0)]), Line("b", level=1.5)])
    assert any("<script>" in (text.text or "") for text in root.iter(f"{SVG}text")), "it is shown as it is"
    assert not list(root.iter(f"{SVG}script"))


@pytest.mark.parametrize("values", [(0.0, 0.0), (2.5, 2.5), (-1e-6, 1e-6), (0.001, 0.0011), (1.0, 123_456.0)])
def test_axes_reach_around_any_values(values: tuple[float, float]) -> None:
    ticks = _ticks(*values)
    assert ticks[0] <= values[0] + 1e-12
    assert ticks[-1] >= values[1] - 1e-12
    assert 2 <= len(ticks) <= 8
    drawn([Line("Loss", [(0, values[0]), (1, values[1])])])


def test_one_step_is_enough() -> None:
    assert list(drawn([Line("Loss", [(0, 1.0)])]).iter(f"{SVG}polyline"))
