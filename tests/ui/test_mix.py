"""The mix section through `gradio_client`: sliders, the table that follows them, the job."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from studio.i18n import number, say
from studio.services import datasets, jobs
from studio.services.studio import open_studio
from studio.settings import Settings
from tests.ui.api import Page


def test_datasets_are_mixed_with_sliders(page: Page, tiny_model: Path) -> None:
    studio = open_studio(Settings(page.live.workspace))
    for name in ("sample-stories", "sample-prose"):
        if not datasets.exists(studio, name):
            jobs.wait(studio, datasets.start_starter_import(studio, name).id)
    sources, model = ["sample-prose", "sample-stories"], f"local:{tiny_model}"
    sliders = page.ask("mix_choose", sources)
    assert [slider["visible"] for slider in sliders] == [True, True, False, False, False, False]
    assert sliders[0]["label"] == say(page.locale, "mix.weight", name="sample-prose")
    assert max(slider["value"] for slider in sliders[:2]) == 100

    def knobs(first: float, second: float, **other: Any) -> tuple[Any, ...]:
        set_to = {"tokens": 5000, "cap": 1, "held_out": 0, "replay": 10} | other
        return (sources, first, second, 1, 1, 1, 1, set_to["tokens"], model, 1, set_to["cap"], 7, set_to["held_out"],
                set_to["replay"], "both")  # fmt: skip

    shown = page.ask("mix_shares", *knobs(75, 25))
    half = say(page.locale, "progress.percent", percent=number(page.locale, 75.0, 1))
    assert half in shown
    assert half not in page.ask("mix_shares", *knobs(50, 50)), "the table follows the sliders"
    assert say(page.locale, "mix.no_time", model="").split()[0] in shown
    assert page.sentence("mix.bad_cap", value="0") in page.ask("mix_shares", *knobs(1, 1, cap=0))
    assert page.ask("mix_shares", [], *knobs(1, 1)[1:]) == page.ask("mix_shares", None, *knobs(1, 1)[1:])
    name = f"mixed-{page.locale}"
    assert page.refusal("mix_start", "sample-prose", *knobs(1, 1)) == page.sentence(
        "data.name_taken", name="sample-prose"
    )
    page.ask("mix_start", name, *knobs(75, 25, held_out=20))
    assert jobs.wait(studio, jobs.listing(studio)[0].id).state == "done"
    assert name in page.ask("mixes", "", "")["html"]
    found = page.ask("mix_choices", [*sources, "gone"])
    assert found[0]["value"] == sources
    assert [name, name] in found[0]["choices"]
    assert page.refusal("mix_stop") == page.sentence("mix.nothing_runs")
    assert page.refusal("mix_choose", [*sources, *"abcde"]) == page.sentence("mix.too_many", most=6)
