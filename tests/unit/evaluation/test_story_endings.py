"""Items made of the held-out stories: the same ones in both languages, with one right sentence."""

from __future__ import annotations

from studio.data.starters import held_out_lines
from studio.evaluation.story_endings import CHOICES, story_endings


def test_both_languages_ask_the_same() -> None:
    persian, english = story_endings("fa"), story_endings("en")
    assert len(persian) == len(english) == len(held_out_lines())
    assert [item["answer"] for item in persian] == [item["answer"] for item in english]


def test_the_right_sentence_goes_on_and_the_others_do_not() -> None:
    for language in ("fa", "en"):
        stories = held_out_lines(language)
        for number, item in enumerate(story_endings(language)):
            story = stories[number]
            assert len(item["choices"]) == len(set(item["choices"])) == CHOICES
            right = item["choices"][item["answer"]]
            assert f"{item['context']} {right}" in story
            assert all(choice not in story for choice in item["choices"] if choice != right)


def test_the_right_place_is_no_habit() -> None:
    places = [item["answer"] for item in story_endings("fa")]
    assert all(places.count(place) >= 4 for place in range(CHOICES))
