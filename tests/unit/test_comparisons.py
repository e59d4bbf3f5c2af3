"""Evaluations beside each other: further figures of a task differ from the first model's with an interval, too."""

from __future__ import annotations

import numpy as np
import pytest

from studio.evaluation import results
from studio.evaluation.correlation import graded
from studio.evaluation.results import Evaluation, Figure, Item, Order, TaskResult
from studio.i18n import LOCALES, say
from studio.services import comparisons
from studio.services.evaluation_text import difference_text
from studio.services.studio import Studio, open_studio
from studio.settings import Settings
from studio.ui.evaluate_views import results_view

GRADES = np.random.default_rng(4).normal(size=60)


@pytest.fixture
def studio(tmp_path) -> Studio:
    return open_studio(Settings(tmp_path / "workspace"))


def paired(studio: Studio, model: str, noise: float) -> Evaluation:
    """An evaluation of sixty graded pairs, whose likenesses follow the grades but for `noise`."""
    likeness = GRADES + noise * np.random.default_rng(int(10 * noise)).normal(size=60)
    items = [Item(f"p/{n}", f"h{n}", 1.0, "", "", "", "", float(one), float(grade))
             for n, (one, grade) in enumerate(zip(likeness, GRADES, strict=True))]  # fmt: skip
    folder = studio.settings.evaluations / model.replace(":", "-")
    folder.mkdir(parents=True)
    results.write_items(folder, "p", items)
    task = TaskResult("p", "fa", "acc", Figure(1.0, 0.9, 1.0, 60), None, 1.0, also=graded(items))
    found = Evaluation(folder.name, Order(model, "", "mine", "same"), {"p": task}, 1.0, {}, finished=True)
    results.write(folder, found)
    return found


def test_further_figures_have_their_differences(studio: Studio) -> None:
    found = [paired(studio, model, noise) for model, noise in (("run:a-1", 3.0), ("run:b-1", 0.3), ("run:c-1", 2.9))]
    one = comparisons.compare(studio, found)[0]
    assert set(one.also) == {"run:b-1", "run:c-1"}
    better, unclear = (one.also[model]["spearman"] for model in one.also)
    values = [each.tasks["p"].also["spearman"].value for each in found]
    assert better.difference == pytest.approx(values[1] - values[0])
    assert (better.shown, unclear.shown) == (True, False)
    assert 0 < better.low < better.difference < better.high
    told = comparisons.compared_json(one)
    assert told["also_differences"]["run:b-1"]["spearman"]["low"] == better.low  # type: ignore[index]
    for locale in LOCALES:
        shown = str(results_view(locale, studio, found))
        assert difference_text(locale, "spearman", better) in shown
        assert shown.count(say(locale, "evaluate.no_difference")) >= 3, "accuracy of both, and one correlation"
