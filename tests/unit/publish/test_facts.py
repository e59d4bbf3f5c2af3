"""A card's facts come from what a run left behind, and from nothing later than the exported weights."""

from __future__ import annotations

import getpass
import json
import os
import socket
from pathlib import Path
from typing import Any

import pytest

from studio.data.cleaning.ledger import Amount, Entry, Ledger
from studio.data.cleaning.switches import Switches
from studio.data.manifest import Cleaned, HubOrigin, Manifest
from studio.data.mapping import make_mapping
from studio.evaluation import results
from studio.evaluation.results import Evaluation, Figure, Item, Order, TaskResult
from studio.jobs.events import MetricRow
from studio.jobs.votes import Vote
from studio.models.files import ModelFiles
from studio.publish.cards.card import CardFacts, write_card
from studio.publish.cards.edits import put_card
from studio.publish.cards.gathered import gather
from studio.publish.cards.run_facts import place_of
from studio.recipes import Recipe, parse_recipe
from studio.services.studio import Studio, open_studio
from studio.settings import Settings
from studio.tokenizer.vocabulary import Vocabulary
from tests.past import add_checkpoint, make_run, measure

RUN = "two-1"
BASE = "starter:smollm2-135m"
RECIPE: Recipe = parse_recipe(
    {
        "name": "llama_persian-small",
        "base": BASE,
        "vocabulary": {"size": 3, "corpus": ["web"]},
        "stages": [
            {"name": "text", "kind": "pretrain", "data": [{"dataset": "web-clean"}], "budget": {"steps": 20}},
            {"name": "chat", "kind": "instruct", "data": [{"dataset": "gone"}], "budget": {"steps": 40}},
        ],
    }
)


def manifest(name: str, **changed: Any) -> Manifest:
    return Manifest(
        **{
            "name": name, "kind": "text", "rows": 800, "characters": 9_000, "bytes": 16_000, "persian_share": 0.99,
            "source": "upload", "licence": "odc-by", "sha256": "a1" * 32,
            "mapping": make_mapping("text", text="text"), "encoding": None, "dropped": {},
            "created": "2026-11-22T00:00:00+00:00", "files": ["web.txt"], **changed,
        }
    )  # fmt: skip


def store(studio: Studio, found: Manifest) -> Path:
    folder = studio.settings.datasets / found.name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "manifest.json").write_text(found.model_dump_json(), encoding="utf8")
    return folder


def evaluated(studio: Studio, model: str, right: int, mark: str, *, limit: int | None = None, name: str = "") -> None:
    items = [Item(f"t/{n}", f"h{n}", float(n < right), "الف", "ب", "", "پرسش") for n in range(40)]
    folder = studio.settings.evaluations / (name or model.replace(":", "-").replace("/", "-"))
    folder.mkdir(parents=True)
    results.write_items(folder, "story_endings_fa", items)
    figure = Figure(right / 40, right / 40 - 0.1, right / 40 + 0.1, 40)
    task = TaskResult("story_endings_fa", "fa", "acc", figure, 0.25, 1.0, contaminated=0)
    order = Order(model, mark, "quick", "same", limit)
    found = Evaluation(folder.name, order, {task.task: task}, 1.0, {"lm-eval": "0.4.9"}, finished=True)
    results.write(folder, found)


@pytest.fixture
def studio(tmp_path: Path) -> Studio:
    """A run of two stages over a base, with all that a run may leave."""
    studio = open_studio(Settings(tmp_path / "workspace"))
    folder = make_run(studio, RUN, RECIPE, steps=(20, 40), checkpoints={1: (10,)})
    studio.metrics.add(RUN, MetricRow(1, 40, 1.0, 1.9, None, None, None, 600, 1800, None, None, None, energy=7.2e6))
    for stage, step, fa, en in ((-1, 0, 2.5, 1.0), (0, 0, 3.0, 1.2), (0, 20, 2.0, 1.01), (1, 10, 1.8, 1.02),
                                (1, 40, 1.5, 0.99)):  # fmt: skip
        measure(studio, RUN, stage, step, fa, en)
    environment = {"device": "NVIDIA T4", "base_sha256": "b1" * 32, "tokenizer_sha256": "c1" * 32,
                   "vocabulary_sha256": None, "versions": {"torch": "2.13.0"},
                   "datasets": {"web-clean": {"sha256": "a1" * 32}}}  # fmt: skip
    (folder / "environment.json").write_text(json.dumps(environment))
    for number, name, tokens, seconds in ((0, "text", 200, 30.0), (1, "chat", 600, 90.0)):
        counts = {"tokens": tokens, "characters": 3 * tokens, "seconds": seconds, "energy": None}
        (folder / "stages" / f"{number:02d}-{name}" / "progress.json").write_text(json.dumps(counts))
    (folder / "energy.json").write_text('{"source": "nvml"}')
    (folder / "vocabulary").mkdir()
    words = Vocabulary(
        base=BASE,
        base_hash="d1" * 32,
        kind="byte_level",
        script="arabic",
        first=500,
        base_vocabulary=500,
        base_merges=10,
        letters=["ا"],
        merges=[("ا", "ب"), ("ب", "پ")],
        counts=[3, 2, 1],
        curve=[600, 400, 300, 250],
        words=100,
        corpus=["web"],
    )
    (folder / "vocabulary" / "vocabulary.json").write_text(words.model_dump_json(), encoding="utf8")
    return studio


def described(studio: Studio, tmp_path: Path, adapter: str = "01-chat") -> CardFacts:
    export = tmp_path / "export"
    export.mkdir(exist_ok=True)
    (export / "model.safetensors").write_bytes(b"weights")
    base = studio.settings.models / "starter--smollm2-135m"
    base.mkdir(parents=True, exist_ok=True)
    files = ModelFiles(f"run:{RUN}", BASE, base, base, studio.settings.runs / RUN / "stages" / adapter)
    return gather(files, export, "two-1", studio.settings, kind="merged", dtype="bfloat16", template=True)


def test_stages_vocabulary_energy_and_curves_of_a_whole_run(studio: Studio, tmp_path: Path) -> None:
    facts = described(studio, tmp_path)
    first, last = facts.stages
    assert (first.tokens, first.seconds, first.bits) == (200, 30.0, {"fa": 2.0, "en": 1.01})
    assert (last.steps, last.tokens, last.seconds, last.loss) == (40, 400, 60.0, 1.9)
    assert last.bits == {"fa": 1.5, "en": 0.99}
    assert facts.base_bits == {"fa": 2.5, "en": 1.0}
    assert facts.english_change == pytest.approx(-0.01)
    assert facts.vocabulary is not None
    assert (facts.vocabulary.added, facts.vocabulary.whole) == (3, 503)
    assert (facts.vocabulary.before, facts.vocabulary.after) == (6.0, 2.5)
    assert facts.energy is not None
    assert (facts.energy.kwh, facts.energy.source, facts.energy.grams) == (2.0, "nvml", 950.0)
    assert (facts.seconds, facts.device) == (90.0, "NVIDIA T4")
    assert facts.curves is not None
    assert facts.curves.starts == (("text", 0), ("chat", 20))
    assert facts.curves.lines["bits_fa"] == ((0, 3.0), (20, 2.0), (30, 1.8), (60, 1.5))
    assert dict(facts.hashes) == {"base": "b1" * 32, "tokenizer.json (base)": "c1" * 32}


def test_an_earlier_stage_knows_nothing_of_later_ones(studio: Studio, tmp_path: Path) -> None:
    facts = described(studio, tmp_path, "00-text")
    assert [stage.name for stage in facts.stages] == ["text"]
    assert facts.seconds == 30.0
    assert facts.energy is None, "it was counted later"
    assert facts.curves is not None
    assert max(step for step, _ in facts.curves.lines["loss"]) == 20


def test_a_checkpoint_has_the_figures_of_its_step(studio: Studio, tmp_path: Path) -> None:
    checkpoint = studio.settings.runs / RUN / "stages" / "01-chat" / "checkpoints" / "step-000010"
    facts = described(studio, tmp_path, "01-chat/checkpoints/step-000010")
    assert (facts.stages[-1].steps, facts.stages[-1].tokens) == (10, 100)
    assert facts.stages[-1].bits == {"fa": 1.8, "en": 1.02}
    assert facts.stages[-1].seconds is None
    place = place_of(checkpoint, studio.settings)
    assert place is not None
    assert place.reference == f"run:{RUN}/chat@10"


def test_the_owner_s_own_figure_of_carbon_is_taken(studio: Studio, tmp_path: Path) -> None:
    (studio.settings.workspace / "prices.json").write_text('{"grams": 30.0, "kwh": null}')
    energy = described(studio, tmp_path).energy
    assert energy is not None
    assert (energy.grams, energy.own) == (60.0, True)


def test_data_with_licence_repository_and_ledger(studio: Studio, tmp_path: Path) -> None:
    origin = HubOrigin(repo="some/web", config=None, split="train", revision=None, parquet_copy=False,
                       rows_limit=None, entry=None, warnings=[])  # fmt: skip
    cleaned = Cleaned(parent="web", parent_sha256="e1" * 32, preset="web", off=[], values={}, normalised=True,
                      against=[])  # fmt: skip
    store(studio, manifest("web", sha256="e1" * 32, source="hub:some/web/train", origin=origin))
    folder = store(studio, manifest("web-clean", source="clean:web", cleaned=cleaned))
    entries = [
        Entry(rule=rule, unit="document", on=True, value=None, units=units, share=share, examples=[], rows=units)
        for rule, units, share in (("duplicates", 150, 0.125), ("language", 0, 0.0))
    ]
    books = Ledger(
        switches=Switches(preset="documents"),
        rows_in=1000,
        rows_out=800,
        characters_in=1,
        characters_out=1,
        bytes_in=1,
        bytes_out=1,
        rules=entries,
        normalising=Amount(),
        joining=Amount(),
        languages={},
    )
    (folder / "ledger.json").write_text(books.model_dump_json())
    web, clean, gone = described(studio, tmp_path).data
    assert (web.name, web.repositories) == ("web", ("some/web",))
    assert (clean.rows, clean.licence, clean.source) == (800, "odc-by", "hub:some/web")
    assert clean.cleaning is not None
    assert [(each.rule, each.units, each.share) for each in clean.cleaning.taken] == [("duplicates", 150, 0.125)]
    assert (gone.name, gone.rows, gone.licence) == ("gone", None, None)
    store(studio, manifest("web-clean", sha256="f1" * 32))
    assert described(studio, tmp_path).data[1].rows is None, "it was changed since"


def test_evaluations_of_these_weights_beside_the_base_s(studio: Studio, tmp_path: Path) -> None:
    weights = studio.settings.runs / RUN / "stages" / "01-chat" / "adapter_model.safetensors"
    mark = f"elsewhere|{weights}@{weights.stat().st_mtime_ns}"
    evaluated(studio, BASE, 10, "base")
    evaluated(studio, BASE, 40, "base", limit=5, name="asked-otherwise")
    evaluated(studio, f"run:{RUN}", 30, mark)
    evaluated(studio, f"run:{RUN}/text", 1, f"{mark}0")
    evaluated(studio, "run:other-1", 2, mark)
    (studio.settings.evaluations / "broken").mkdir()
    (studio.settings.evaluations / "broken" / "evaluation.json").write_text("{")
    (suite,) = described(studio, tmp_path).evaluations
    (task,) = suite.tasks
    assert (suite.suite, suite.version) == ("quick", "0.4.9")
    assert task.figure.value == 0.75
    assert task.base is not None
    assert task.base.value == 0.25
    assert task.difference is not None
    assert task.difference.difference == 0.5
    assert task.difference.shown
    assert task.source is not None
    assert "CC0" in task.source


def test_an_evaluation_without_the_base_s_has_no_difference(studio: Studio, tmp_path: Path) -> None:
    weights = studio.settings.runs / RUN / "stages" / "01-chat" / "adapter_model.safetensors"
    evaluated(studio, f"run:{RUN}", 30, f"@{weights.stat().st_mtime_ns}")
    evaluated(studio, BASE, 10, "base", limit=5)
    ((task,),) = (suite.tasks for suite in described(studio, tmp_path).evaluations)
    assert task.base is None
    assert task.difference is None


def test_votes_about_this_model_alone(studio: Studio, tmp_path: Path) -> None:
    this, text = f"run:{RUN}/chat", f"run:{RUN}/text"
    studio.votes.add([Vote(BASE, BASE, this, "second", "سلام"), Vote(BASE, this, BASE, "equal", "سلام")])
    studio.votes.add([Vote(BASE, BASE, text, "first", "سلام")])
    (votes,) = described(studio, tmp_path).votes
    assert (votes.model, votes.against, votes.wins, votes.losses, votes.equal) == (this, BASE, 1, 0, 1)


def test_nothing_of_the_machine_stands_in_a_card(studio: Studio, tmp_path: Path, monkeypatch) -> None:
    secret = "hf_" + "x" * 34
    monkeypatch.setenv("HF_TOKEN", secret)
    home = tmp_path / "home"
    store(studio, manifest("web", source=f"{home}/secret/web.txt"))
    (studio.settings.runs / RUN / "log.txt").write_text(secret)
    facts = described(studio, tmp_path)
    put = put_card(tmp_path / "export", facts, studio.settings.runs / RUN)
    written = "".join((tmp_path / "export" / name).read_text(encoding="utf8") for name in put.files)
    assert "web.txt" in written
    for private in (str(tmp_path), str(Path.home()), str(Path.cwd()), secret, socket.gethostname()):
        assert private not in written.replace("/root", str(Path.home()))
    name = os.environ.get("USER") or getpass.getuser()
    assert f"/{name}/" not in written


def test_a_run_elsewhere_tells_only_what_its_folder_does(tmp_path: Path) -> None:
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    export = tmp_path / "export"
    export.mkdir()
    files = ModelFiles("run:x", "local:/some/where/base", tmp_path, tmp_path, adapter)
    facts = gather(files, export, "x", Settings(tmp_path), kind="merged", dtype="bfloat16", template=False)
    assert (facts.recipe, facts.stages, facts.data, facts.curves) == (None, (), (), None)
    assert "/some/where" not in write_card(facts)
    assert not (tmp_path / "studio.db").exists()


def test_add_checkpoint_is_where_the_facts_look(studio: Studio, tmp_path: Path) -> None:
    made = add_checkpoint(studio.settings.runs / RUN / "stages" / "00-text", 5)
    (made / "progress.json").write_text(json.dumps({"tokens": 50, "characters": 150, "seconds": 7.5}))
    assert described(studio, tmp_path, "00-text/checkpoints/step-000005").seconds == 7.5
