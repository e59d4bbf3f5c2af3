from __future__ import annotations

import pytest

from studio.data.manifest import check_name, suggest_name
from studio.errors import StudioError


@pytest.mark.parametrize(
    "name", ["a", "sample-stories", "my_data-2", "داستان‌ها".replace("\u200c", "-"), "۱۴۰۳", "x" * 64]
)
def test_good_names(tmp_path, name) -> None:
    check_name(tmp_path, name)


@pytest.mark.parametrize(
    ("name", "suggestion"),
    [
        ("", "dataset"),
        ("..", "dataset"),
        (".hidden", "hidden"),
        ("-a", "a"),
        ("a/b", "b"),
        ("My File.jsonl.gz", "my-file"),
        ("داستان‌هاي كوتاه.csv", "داستان-های-کوتاه"),
        ("x" * 65, "x" * 64),
        ("a\n", "a"),
    ],
)
def test_bad_names_come_with_a_better_one(tmp_path, name, suggestion) -> None:
    with pytest.raises(StudioError) as caught:
        check_name(tmp_path, name)
    assert caught.value.code == "data.bad_name"
    assert caught.value.details["suggestion"] == suggestion == suggest_name(name)
    check_name(tmp_path, suggestion)
