"""What is alike stays on one side of the split."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from studio.data import incoming
from studio.data.cleaning.hashing import hash_words, sign
from studio.data.mixing import splitting
from studio.data.mixing.splitting import split
from studio.data.sample import Pair, Sample, Text
from studio.data.stored import list_groups, read_manifest
from studio.errors import StudioError

from .making import store, texts

WORDS = [f"واژه{number}" for number in range(400)]


def held_rows(folder: Path, datasets: dict[str, list[Sample]], share: float, seed: int = 1) -> list[list[bool]]:
    """Which rows of each dataset are held out."""
    for name, samples in datasets.items():
        store(folder, name, samples)
    scratch = folder / "scratch"
    scratch.mkdir()
    found = split(
        [(read_manifest(folder / name).kind, list_groups(folder / name)) for name in datasets],
        share, seed, scratch, progress=lambda part, note: None, stopping=lambda: False,
    )  # fmt: skip
    assert [path.name for path in scratch.iterdir()] == ["held.u1"], "nothing is left over"
    return [
        [bool(held) for group in list_groups(folder / name) for held in found.of_group(number, group)]
        for number, name in enumerate(datasets)
    ]


def families(chance: random.Random, number: int) -> list[Text]:
    """Texts in families: each is a copy of one of its family with a word changed here and there."""
    found: list[Text] = []
    for _ in range(number):
        family = [[chance.choice(WORDS) for _ in range(60)]]
        for _ in range(chance.randrange(4)):
            copy = list(chance.choice(family))
            for _ in range(chance.randrange(3)):
                copy[chance.randrange(len(copy))] = chance.choice(WORDS)
            family.append(copy)
        found += [Text(" ".join(words)) for words in family]
    chance.shuffle(found)
    return found


def alike_across(samples: list[Text], held: list[bool]) -> int:
    """Pairs of near-duplicates, by comparing every signature with every other, that the split parts."""
    signatures = sign(*hash_words([sample.text for sample in samples]))
    same = (signatures[:, None, :] == signatures[None, :, :]).mean(axis=2) >= 0.8
    sides = np.array(held)
    return int((same & (sides[:, None] != sides[None, :])).sum()) // 2


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0.1, 0.3, 0.5]))
def test_near_duplicates_are_never_parted(seed: int, share: float) -> None:
    samples = families(random.Random(seed), 40)
    with tempfile.TemporaryDirectory() as folder:
        held = held_rows(Path(folder), {"a": samples[:50], "b": samples[50:]}, share, seed)
    whole = held[0] + held[1]
    assert any(whole)
    assert alike_across(samples, whole) == 0


def test_without_clusters_they_would_be_parted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test above can fail: rows drawn one by one part many near-duplicates."""
    samples = families(random.Random(5), 60)
    monkeypatch.setattr(splitting._Clusters, "link", lambda self, places, firsts: None)
    [held] = held_rows(tmp_path, {"a": samples}, 0.3)
    assert alike_across(samples, held) > 5


def test_links_of_links_are_one_cluster(tmp_path: Path) -> None:
    """Each of a chain is like the next and unlike the last: all stay together, whoever came first."""
    chance = random.Random(3)
    words = [chance.choice(WORDS) for _ in range(80)]
    chain = []
    for step in range(12):
        words[6 * step] = f"تازه{step}"
        chain.append(Text(" ".join(words)))
    chance.shuffle(chain)
    others = texts("دیگر", 60, 20)
    for seed in range(8):
        folder = tmp_path / str(seed)
        folder.mkdir()
        [held] = held_rows(folder, {"a": chain + others}, 0.4, seed)
        assert len(set(held[:12])) == 1


def test_punctuation_and_spaces_make_no_difference_to_short_texts(tmp_path: Path) -> None:
    written = ["سلام، خوبی؟", "سلام خوبی", "سلام  خوبي!", "؟!"]
    others = texts("دیگر", 40, 5)
    for seed in range(6):
        folder = tmp_path / str(seed)
        folder.mkdir()
        [held] = held_rows(folder, {"a": [*map(Text, written), *others]}, 0.5, seed)
        assert len(set(held[:3])) == 1


def test_pairs_that_share_a_side_stay_together_and_with_their_texts(tmp_path: Path) -> None:
    pairs = [Pair("باران آمد", "It rained"), Pair("باران آمد", "Rain came"), Pair("برف آمد", "Rain came!")]
    many = [*pairs, *(Pair(f"جمله {row}", f"sentence {row}") for row in range(40))]
    for seed in range(6):
        folder = tmp_path / str(seed)
        folder.mkdir()
        found = held_rows(folder, {"pairs": many, "texts": [Text("برف آمد."), *texts("دیگر", 40)]}, 0.5, seed)
        assert len({*found[0][:3], found[1][0]}) == 1


def test_the_share_is_kept_and_the_seed_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(incoming, "GROUP_ROWS", 300)
    monkeypatch.setattr(splitting, "_ROWS_AT_ONCE", 128)
    found = {}
    for name, seed in (("one", 1), ("again", 1), ("other", 2)):
        (tmp_path / name).mkdir()
        [found[name]] = held_rows(tmp_path / name, {"a": texts("باغ", 1000)}, 0.05, seed)
    assert sum(found["one"]) == pytest.approx(50, abs=2)
    assert found["one"] == found["again"]
    assert found["one"] != found["other"]
    assert 10 < sum(found["one"][500:]) < 40, "from all over the dataset"


def test_a_large_cluster_stays_in_training(tmp_path: Path) -> None:
    same = [Text("همین متن بارها آمده است")] * 30
    [held] = held_rows(tmp_path, {"a": [*same, *texts("باغ", 70)]}, 0.2)
    assert not any(held[:30])
    assert sum(held) == 20


def test_of_few_rows_at_least_one_is_held_out(tmp_path: Path) -> None:
    [held] = held_rows(tmp_path, {"a": texts("باغ", 10)}, 0.01)
    assert sum(held) == 1


def test_where_everything_is_alike_nothing_can_be_held_out(tmp_path: Path) -> None:
    with pytest.raises(StudioError) as caught:
        held_rows(tmp_path, {"a": [Text("همین")] * 50}, 0.1)
    assert caught.value.code == "mix.held_out_empty"
