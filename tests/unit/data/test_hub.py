from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from studio.data import stored
from studio.data.catalogue import Entry, entry
from studio.data.cleaning.clean import clean
from studio.data.cleaning.switches import choose
from studio.data.hub import Hub, check_id, import_hub
from studio.data.hub_answers import Card, Copy, reach_hub
from studio.data.manifest import Manifest, read_manifest
from studio.data.sample import Pair
from studio.errors import StudioError

ROWS = [{"translation": {"fa": f"سلام {number}", "en": f"hello {number}"}} for number in range(500)]
SCRIPTS = RuntimeError("Dataset scripts are no longer supported, but found naab.py")


def chained(error, cause) -> Exception:
    error.__cause__ = cause
    return error


def named(name, text, module="datasets.exceptions") -> Exception:
    """An exception as a library raises it; the real classes are met in `tests/unit/data/test_hub_server.py`."""
    return type(name, (OSError,), {"__module__": module})(text)


class FakeHub:
    """Answers from a list: an exception is raised, anything else is the dataset."""

    def __init__(self, *answers, licence="cc-by-4.0", copy=None) -> None:
        self.answers, self.asked, self._card, self._copy = list(answers), [], Card(licence, "c0ffee"), copy

    def hub(self) -> Hub:
        return Hub(self.load, lambda: None, lambda repo, token: self._card, lambda repo, token: self._copy)

    def load(self, repo, **options) -> object:
        self.asked.append((repo, options))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def bring(target, fake, **options) -> Manifest:
    options = {"progress": lambda *_: None, "stopping": lambda: False, "hub": fake.hub()} | options
    return import_hub("org/name", options.pop("config", None), options.pop("split", "train"), target, "a", **options)


def fault(target, fake, **options) -> StudioError:
    with pytest.raises(StudioError) as caught:
        bring(target, fake, **options)
    assert list(target.iterdir()) == []
    return caught.value


def test_a_split_is_stored_like_a_file(tmp_path) -> None:
    fake, seen = FakeHub(ROWS), []
    manifest = bring(
        tmp_path, fake, config="c", token="t", rows_limit=450, progress=lambda share, note: seen.append((share, note))
    )
    assert fake.asked == [("org/name", {"name": "c", "split": "train", "token": "t", "revision": "c0ffee"})]
    assert (manifest.rows, manifest.kind, manifest.mapping.form) == (450, "pair", "translation")
    assert (manifest.source, manifest.licence) == ("hub:org/name/c/train", "cc-by-4.0")
    assert stored.sample_rows(tmp_path / "a", 449, 9) == [Pair("سلام 449", "hello 449")]
    assert seen[0] == (0.0, "progress.import.connect")
    assert seen[-1][0] > 0.8


def test_a_dataset_with_a_script_is_read_from_its_parquet_copy(tmp_path) -> None:
    files = {"a": {"train": ["a/train/0000.parquet"]}, "b": {"train": ["b/train/0000.parquet"]}}
    fake = FakeHub(SCRIPTS, ROWS, copy=Copy("c0b1", files))
    manifest = bring(tmp_path, fake, config="b")
    assert (manifest.rows, manifest.origin.revision, manifest.origin.parquet_copy) == (500, "c0b1", True)
    assert fake.asked[1][1]["data_files"] == {"train": ["b/train/0000.parquet"]}


def test_a_dataset_with_a_script_and_no_copy(tmp_path) -> None:
    assert fault(tmp_path, FakeHub(SCRIPTS)).code == "hub.script_dataset"


def known(**facts) -> Entry:
    return Entry.model_validate(entry("persian-gk").model_dump() | facts)


def test_the_catalogue_gives_columns_licence_and_warnings(tmp_path) -> None:
    rows = [{"a": "متن نخست که بلندتر است", "b": "متن دوم"}] * 20
    columns = {"mapping": {"form": "text", "columns": {"text": "b"}}}
    chosen = known(**columns, licence="cc-by-nc-4.0", warnings=["benchmark_only"])
    manifest = bring(tmp_path, FakeHub(rows, licence=None), entry=chosen, rows_limit=5)
    assert (manifest.mapping.columns, manifest.licence) == ({"text": "b"}, "cc-by-nc-4.0")
    origin = manifest.origin
    assert (origin.entry, origin.revision, origin.rows_limit) == ("persian-gk", "c0ffee", 5)
    assert origin.warnings == ["benchmark_only", "non_commercial"]


def test_what_a_dataset_is_warned_of_stays_when_it_is_cleaned(tmp_path) -> None:
    rows = [{"text": f"این متن شمارهٔ {number} است که دربارهٔ باغ و گل و درخت نوشته شده است."} for number in range(9)]
    bring(tmp_path, FakeHub(rows, licence="cc-by-nc-4.0"))
    clean(
        tmp_path / "a", tmp_path, "b", choose("text", None, [], []),
        suites=[], earlier=None, progress=lambda *_: None, stopping=lambda: False,
    )  # fmt: skip
    assert read_manifest(tmp_path / "b").origin.warnings == ["non_commercial"]


def test_columns_that_are_gone_are_guessed_anew(tmp_path) -> None:
    chosen = known(mapping={"form": "text", "columns": {"text": "gone"}})
    assert bring(tmp_path, FakeHub(ROWS), entry=chosen).mapping.form == "translation"


@pytest.mark.parametrize(
    ("stated", "warnings", "noted"), [("mit", [], "mit"), ("mit", ["conflicting_licence"], "cc-by-nc-sa-4.0")]
)
def test_the_card_has_the_last_word_on_a_licence_unless_it_is_contradicted(tmp_path, stated, warnings, noted) -> None:
    chosen = known(licence="cc-by-nc-sa-4.0", warnings=warnings, mapping=None)
    assert bring(tmp_path, FakeHub(ROWS, licence=stated), entry=chosen).licence == noted


def test_columns_named_by_the_user_complete_the_guess(tmp_path) -> None:
    rows = [{"title": "نامی", "body": "متنی که از نام خود بلندتر است"}] * 20
    manifest = bring(tmp_path, FakeHub(rows), roles={"text": "title"}, entry=known())
    assert manifest.mapping.columns == {"text": "title"}


@pytest.mark.parametrize(
    ("error", "code", "details"),
    [
        (
            ValueError("BuilderConfig 'x' not found. Available: ['fas_Arab', 'tgk_Cyrl']"),
            "hub.unknown_config",
            {"repo": "org/name", "config": "x", "available": "fas_Arab, tgk_Cyrl"},
        ),
        (
            ValueError(
                "Config name is missing.\nPlease pick one among the available configs: ['a', 'b']\nExample of usage:\n"
                "\t`load_dataset('org/name', 'a')`"
            ),
            "hub.config_missing",
            {"repo": "org/name", "available": "a, b"},
        ),
        (
            ValueError("Bad split: dev. Available splits: ['train', 'test']"),
            "hub.unknown_split",
            {"repo": "org/name", "split": "dev", "available": "train, test"},
        ),
        (
            named("DatasetNotFoundError", "Dataset 'org/name' doesn't exist on the Hub or cannot be accessed."),
            None,
            None,
        ),
        (named("DatasetNotFoundError", "Dataset 'org/name' is a gated dataset on the Hub."), "hub.gated", None),
        (ConnectionError("Couldn't reach 'org/name' on the Hub (ConnectError)"), "hub.unreachable", None),
        (named("ReadTimeout", "", "httpx2"), "hub.unreachable", None),
        (chained(RuntimeError("x"), TimeoutError("y")), "hub.unreachable", None),
        (
            named("EmptyDatasetError", "The directory at hf://datasets/org/name doesn't contain any data"),
            "hub.no_data",
            None,
        ),
        (
            ZeroDivisionError("surprise"),
            "hub.unreadable",
            {"repo": "org/name", "reason": "ZeroDivisionError: surprise"},
        ),
    ],
)
def test_what_the_hub_refuses_has_its_sentence(tmp_path, error, code, details) -> None:
    found = fault(tmp_path, FakeHub(error), config="x", split="dev")
    assert found.code == (code or "hub.unknown_dataset")
    assert details is None or found.details == details


def test_a_connection_lost_on_the_way_leaves_nothing(tmp_path) -> None:
    def rows() -> Iterator[object]:
        yield from ROWS
        raise ConnectionError("lost")

    assert fault(tmp_path, FakeHub(rows())).code == "hub.unreachable"


def test_an_empty_split_and_a_stop(tmp_path) -> None:
    assert fault(tmp_path, FakeHub([])).code == "hub.no_data"
    assert fault(tmp_path, FakeHub(ROWS), stopping=lambda: True).code == "job.stopped"


@pytest.mark.parametrize(
    "text", ["org/name", " https://huggingface.co/datasets/org/name/ ", "hf://datasets/org/name", "datasets/org/name"]
)
def test_ids_are_taken_as_people_paste_them(text) -> None:
    assert check_id(text) == "org/name"


@pytest.mark.parametrize("text", ["", "name", "org/name/more", "../etc", "org/..", "org/na me", "/srv/data"])
def test_other_texts_are_no_ids(text) -> None:
    with pytest.raises(StudioError) as caught:
        check_id(text)
    assert caught.value.code == "hub.bad_id"


class _Refusing(BaseHTTPRequestHandler):
    def do_HEAD(self) -> None:
        self.send_error(503)

    def log_message(self, *_) -> None:
        """Keep the test's output quiet."""


def test_any_answer_is_an_answer() -> None:
    with HTTPServer(("127.0.0.1", 0), _Refusing) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        reach_hub(f"http://127.0.0.1:{server.server_port}", seconds=5)


def test_the_probe_gives_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        for endpoint in (f"http://127.0.0.1:{silent.getsockname()[1]}", "http://127.0.0.1:9"):
            started = time.monotonic()
            with pytest.raises(StudioError) as caught:
                reach_hub(endpoint, seconds=0.3)
            assert (caught.value.code, caught.value.details) == ("hub.unreachable", {"endpoint": endpoint})
            assert time.monotonic() - started < 2
