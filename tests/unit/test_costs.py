"""What a run cost: energy into CO₂ and money by editable figures, and what is not known is said, never 0."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from studio.__main__ import app
from studio.errors import StudioError
from studio.i18n import LOCALES, say
from studio.jobs.events import MetricRow
from studio.jobs.store import NewJob
from studio.publish.cards.facts import WORLD_INTENSITY
from studio.services import costs, report_text, reports
from studio.services.cost_text import carbon_text, cost_lines, price_text
from studio.services.costs import Prices, cost, set_prices
from studio.services.studio import Studio, open_studio
from studio.settings import Settings
from studio.ui.report_page import report_page
from tests.unit.test_reports import RUN
from tests.unit.test_reports import studio as studio

HOUR = 3600.0
KWH = 3.6e6


def with_energy(studio: Studio, joules: float | None, source: str = "nvml") -> None:
    row = MetricRow(2, 3, 1.0, 0.5, None, None, None, 340, 1020, None, None, None, joules)
    studio.metrics.add(RUN, row)
    job = studio.jobs.add(NewJob("train", RUN, {"run": RUN}, run=RUN))
    studio.jobs.finish(job, "done", result={"seconds": HOUR, "peak_memory_bytes": 1})
    (studio.settings.runs / RUN / "energy.json").write_text(json.dumps({"source": source}))


@pytest.fixture
def codecarbon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package laid out as codecarbon 3.3.2 is, with its line for Iran."""
    folder = tmp_path / "site" / "codecarbon"
    table = folder / "data" / "private_infra" / "global_energy_mix.json"
    table.parent.mkdir(parents=True)
    (folder / "__init__.py").write_text("raise ImportError('it is read, not imported')")
    table.write_text(json.dumps({"IRN": {"carbon_intensity": 655.125, "country_name": "Iran", "year": 2023}}))
    monkeypatch.syspath_prepend(str(folder.parent))
    importlib.invalidate_caches()


@pytest.fixture
def without_codecarbon(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        costs.importlib.util, "find_spec", lambda name, *more: None if name == "codecarbon" else found(name, *more)
    )


def test_a_kilowatt_hour_becomes_carbon_and_money() -> None:
    found = cost(Prices(hour=2.0, kwh=0.25, currency="EUR"), 1800.0, 2 * KWH, "rapl", at_least=False)
    assert found.carbon == pytest.approx(2 * WORLD_INTENSITY)
    assert (found.of_time, found.of_energy, found.money) == (1.0, 0.5, 1.5)


@pytest.mark.parametrize("joules", [None, 0.0])
def test_what_nobody_counted_is_not_known(joules: float | None) -> None:
    found = cost(Prices(hour=2.0, kwh=0.25, currency="EUR"), 1800.0, joules, None, at_least=False)
    assert (found.joules, found.carbon, found.of_energy, found.money) == (None, None, None, None)
    assert found.of_time == 1.0
    for locale in LOCALES:
        lines = cost_lines(locale, found)
        assert [line[0] for line in lines[1:]] == [say(locale, "cost.unknown")] * 3
        assert say(locale, "cost.money_hour", price=price_text(locale, 2, "EUR"),
                   money=price_text(locale, 1, "EUR")) in lines[-1][2]  # fmt: skip


def test_without_a_price_money_is_not_spoken_of() -> None:
    found = cost(Prices(), None, KWH, "nvml", at_least=False)
    assert not found.has_price
    assert found.money is None
    assert len(cost_lines("en", found)) == 3
    assert cost_lines("en", found)[0][0] == say("en", "cost.unknown")


def test_little_is_not_nothing() -> None:
    assert carbon_text("en", 0.0004) == "less than 0.01 g"
    assert carbon_text("fa", 1234.0) == "۱٫۲۳ کیلوگرم"
    assert price_text("en", 0.001, "USD") == "less than 0.01 USD"
    energy = cost_lines("en", cost(Prices(), 1.0, 3.0, "rapl", at_least=False))[1]
    assert energy[0] == "less than 0.1 Wh"


def test_whose_grams_they_are(codecarbon: None, studio: Studio) -> None:
    assert costs.intensity(Prices()).origin == "world"
    kept = set_prices(studio, Prices(country="irn"))
    assert kept.country == "IRN"
    assert costs.intensity(kept) == costs.Intensity(655.125, "codecarbon")
    assert costs.intensity(replace(kept, grams=100.0)) == costs.Intensity(100.0, "own")
    with pytest.raises(StudioError, match=r"prices\.no_such_country"):
        set_prices(studio, Prices(country="ATL"))


def test_without_codecarbon_a_country_is_refused_and_the_world_holds(without_codecarbon: None, studio: Studio) -> None:
    with pytest.raises(StudioError, match=r"prices\.no_codecarbon"):
        set_prices(studio, Prices(country="IRN"))
    assert costs.intensity(Prices(country="IRN")) == costs.Intensity(WORLD_INTENSITY, "world")


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        (Prices(hour=-1.0, currency="USD"), "prices.not_a_price"),
        (Prices(kwh=float("nan"), currency="USD"), "prices.not_a_price"),
        (Prices(grams=float("inf")), "prices.not_a_price"),
        (Prices(hour=1.0), "prices.no_currency"),
        (Prices(hour=1.0, currency="x" * 13), "prices.bad_currency"),
        (Prices(hour=1.0, currency="\u202eUSD"), "prices.bad_currency"),
    ],
)
def test_what_is_no_price_is_refused_and_nothing_is_kept(wanted: Prices, code: str, studio: Studio) -> None:
    with pytest.raises(StudioError) as caught:
        set_prices(studio, wanted)
    assert caught.value.code == code
    assert costs.prices(studio) == Prices()


@pytest.mark.parametrize("text", ["{", "[]", '{"hour": "much"}', '{"hours": 1}', '{"hour": 1}'])
def test_a_file_edited_by_hand_is_named(text: str, studio: Studio) -> None:
    studio.settings.prices.write_text(text)
    with pytest.raises(StudioError) as caught:
        costs.prices(studio)
    assert caught.value.code.startswith("prices.")


def test_the_report_tells_it_everywhere(studio: Studio) -> None:
    with_energy(studio, 2 * KWH)
    set_prices(studio, Prices(hour=3.0, kwh=0.5, currency="تومان", grams=100.0))
    told = reports.as_json(reports.of_run(studio, RUN))["cost"]
    assert (told["seconds"], told["energy_joules"], told["energy_source"]) == (HOUR, 2 * KWH, "nvml")
    assert (told["co2_grams"], told["grams_per_kwh_source"], told["money"]) == (pytest.approx(200.0), "own", 4.0)
    page = report_page(studio, RUN)
    for locale in LOCALES:
        text = report_text.markdown(studio, RUN, locale)
        for value, label, note in cost_lines(locale, reports.of_run(studio, RUN).cost):  # type: ignore[arg-type]
            assert f"{label}: {value}" in text
            assert value in page
            assert note in page


def test_the_report_of_a_machine_without_a_meter_says_so(studio: Studio) -> None:
    with_energy(studio, None)
    told = reports.as_json(reports.of_run(studio, RUN))["cost"]
    assert [told[name] for name in ("energy_joules", "co2_grams", "money")] == [None, None, None]
    assert say("fa", "cost.energy_unknown") in report_page(studio, RUN)
    assert say("en", "cost.energy_unknown") in report_text.markdown(studio, RUN, "en")


def test_an_interrupted_run_counts_the_steps_of_all_attempts(studio: Studio) -> None:
    report = reports.of_run(studio, RUN)
    assert report.cost is not None
    assert report.cost.seconds == 10.0
    found = cost(Prices(), 10.0, None, None, at_least=True)
    assert cost_lines("en", found)[0][2] == say("en", "cost.interrupted")


def test_the_command_keeps_what_is_not_given(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    def prices(*words: str) -> dict[str, Any]:
        CliRunner().invoke(app, ["prices", *words, "--json", "--workspace", str(tmp_path)])
        return dict(json.loads(capfd.readouterr().out))

    assert prices("--hour", "1.5")["error"] == "prices.no_currency"
    assert prices("--hour", "1.5", "--currency", "USD")["hour"] == 1.5
    found = prices("--kwh", "0.2")
    assert (found["hour"], found["kwh"], found["grams_per_kwh"]) == (1.5, 0.2, WORLD_INTENSITY)
    assert costs.prices(open_studio(Settings(tmp_path))).currency == "USD"
    assert prices("--nothing")["hour"] is None


def test_the_terminal_tells_the_cost_too(studio: Studio, capfd: pytest.CaptureFixture[str]) -> None:
    with_energy(studio, None)
    CliRunner().invoke(app, ["report", RUN, "--language", "en", "--workspace", str(studio.settings.workspace)])
    told = capfd.readouterr().out
    assert f"{say('en', 'cost.carbon')}: {say('en', 'cost.unknown')}" in told
