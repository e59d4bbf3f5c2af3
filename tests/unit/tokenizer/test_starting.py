"""Start rows that are fitted, the job that measures all of them, and the model folder made of the chosen ones."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from studio.errors import StudioError
from studio.evaluation.bits import bits_per_byte
from studio.models.files import ModelFiles
from studio.models.load import load_base
from studio.models.new_rows import place_rows
from studio.models.tokenizer import load_tokenizer
from studio.tokenizer import fitting
from studio.tokenizer.corpus import Part
from studio.tokenizer.embeddings import closed_form, spell, tables_of
from studio.tokenizer.fitting import Budget, Guarded, fit, guard, write_freely
from studio.tokenizer.rows import load_rows
from studio.tokenizer.starting import make_starts
from studio.tokenizer.starts import METHODS, Started, pick, read_starts
from studio.tokenizer.vocabulary import Vocabulary, read_vocabulary
from tests.tiny import SENTENCES
from tests.unit.tokenizer.expansion import build_base, learn_for
from tests.unit.tokenizer.families import CORPUS

PERSIAN, ENGLISH = SENTENCES[2:8], SENTENCES[8:]
HELD: Any = {"fa": PERSIAN, "en": ENGLISH}


def quiet(share: float, note: str) -> None:
    assert 0 <= share <= 1
    assert note.startswith("progress.")


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[ModelFiles, Path, list[Part]]:
    monkeypatch.setitem(fitting.BUDGETS, "cpu", Budget(30, 4, 32))
    files = build_base(tmp_path / "base", tied=True)
    learn_for(files.folder, tmp_path / "extended")
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("\n".join(CORPUS * 8), encoding="utf8")
    return files, tmp_path / "extended", [Part(corpus, False)]


def ids_of(folder: Path, text: str) -> list[int]:
    return list(load_tokenizer(folder).encode(text, add_special_tokens=False).ids)


def test_every_start_is_measured_and_the_best_is_kept(made: tuple[ModelFiles, Path, list[Part]]) -> None:
    files, folder, parts = made
    found = make_starts(files, folder, parts, HELD, METHODS, "best", progress=quiet, stopping=lambda: False)
    assert [start.method for start in found.starts] == list(METHODS)
    assert read_starts(folder) == found
    assert found.chosen == pick(found.starts, found.base_en)
    vocabulary = read_vocabulary(folder)
    model, _ = load_base(files, dtype=torch.float32)
    place_rows(model, load_rows(folder, vocabulary))
    for language, figure in (("fa", found.kept.fa), ("en", found.kept.en)):
        bits = bits_per_byte(model, lambda text: ids_of(folder, text), HELD[language], 0)
        assert math.isclose(bits.bits_per_byte, figure, rel_tol=1e-6)
    tokens = {start.method: start.tokens for start in found.starts}
    assert tokens["mean"] == 0 < tokens["fitted"] == tokens["distilled"]


def test_another_start_is_kept_without_making_the_rest_again(made: tuple[ModelFiles, Path, list[Part]]) -> None:
    files, folder, parts = made
    first = make_starts(files, folder, parts, HELD, ("mean", "last"), "best", progress=quiet, stopping=lambda: False)
    again = make_starts(files, folder, parts, HELD, ("last",), "last", progress=quiet, stopping=lambda: False)
    assert again.starts[0] == first.starts[0]
    assert again.chosen == "last"
    vocabulary = read_vocabulary(folder)
    model, _ = load_base(files, dtype=torch.float32)
    expected = closed_form("last", vocabulary, load_tokenizer(files.folder).get_vocab(), tables_of(model), 0)
    assert torch.equal(load_rows(folder, vocabulary).input, expected.input)


def _fit(
    files: ModelFiles, folder: Path, *, shared: bool, guarded: Guarded | None = None
) -> tuple[Any, Any, Vocabulary]:
    vocabulary = read_vocabulary(folder)
    model, _ = load_base(files, dtype=torch.float32)
    model.requires_grad_(False)
    passages = [[0, *ids_of(folder, text)][:32] for text in CORPUS * 4]
    ids = load_tokenizer(files.folder).get_vocab(with_added_tokens=False)
    rows = fit(
        model, tables_of(model), spell(vocabulary, ids), vocabulary.first, passages, guarded or guard(model, []),
        shared=shared, batch=4, progress=quiet, stopping=lambda: False, seed=1,
    )  # fmt: skip
    return model, rows, vocabulary


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("tied", [True, False])
def test_fitting_beats_the_mean_and_leaves_the_model_alone(tmp_path: Path, shared: bool, tied: bool) -> None:
    files = build_base(tmp_path / "base", tied=tied)
    folder = tmp_path / "extended"
    learn_for(files.folder, folder)
    model, rows, vocabulary = _fit(files, folder, shared=shared)
    untouched, _ = load_base(files, dtype=torch.float32)
    for (name, weight), (_, other) in zip(model.named_parameters(), untouched.named_parameters(), strict=True):
        assert torch.equal(weight, other), name
    assert (rows.output is None) == tied
    mean = closed_form(
        "mean", vocabulary, load_tokenizer(files.folder).get_vocab(with_added_tokens=False), tables_of(untouched), 0
    )
    figures = []
    for start in (mean, rows):
        place_rows(untouched, start)
        figures.append(bits_per_byte(untouched, lambda text: ids_of(folder, text), CORPUS[:12], 0).bits_per_byte)
    assert figures[1] < figures[0]


def test_the_guard_is_the_loss_of_other_text(tmp_path: Path) -> None:
    files = build_base(tmp_path / "base", tied=True)
    folder = tmp_path / "extended"
    vocabulary = learn_for(files.folder, folder)
    model, _ = load_base(files, dtype=torch.float32)
    passages = [[0, *ids_of(files.folder, text)] for text in ENGLISH]
    base = bits_per_byte(model, lambda text: ids_of(files.folder, text), ENGLISH, 0)
    guarded = guard(model, [passage[:-1] for passage in passages])
    rows = closed_form("mean", vocabulary, load_tokenizer(files.folder).get_vocab(), tables_of(model), 0)
    new = torch.logsumexp(guarded.hidden @ rows.input.T, -1)
    taken = torch.nn.functional.softplus(new - guarded.partition).sum() / math.log(2) / base.bytes
    place_rows(model, rows)
    # Rows that pad the table to a multiple of 64 belong to no token and must not count here.
    model.get_output_embeddings().weight.data[vocabulary.first + vocabulary.added :] = 0
    padding = len(model.get_output_embeddings().weight) - vocabulary.first - vocabulary.added
    with torch.inference_mode():
        nats = 0.0
        for passage in passages:
            logits = model(torch.tensor([passage[:-1]])).logits[0]
            logits = logits[:, : logits.shape[1] - padding]
            nats += float(torch.nn.functional.cross_entropy(logits, torch.tensor(passage[1:]), reduction="sum"))
    assert math.isclose(nats / math.log(2) / base.bytes, base.bits_per_byte + taken.item(), rel_tol=1e-5)


def test_the_guard_holds_new_tokens_back(tmp_path: Path) -> None:
    files = build_base(tmp_path / "base", tied=True)
    folder = tmp_path / "extended"
    learn_for(files.folder, folder)
    model, _ = load_base(files, dtype=torch.float32)
    guarded = guard(model, [[0, *ids_of(files.folder, text)] for text in ENGLISH])
    free, held = (_fit(files, folder, shared=True, guarded=each)[1] for each in (None, guarded))

    def mass(rows: Any) -> float:
        return float((torch.logsumexp(guarded.hidden @ rows.input.T, -1) - guarded.partition).sigmoid().mean())

    assert mass(held) < mass(free)


def test_a_base_writes_the_same_text_again(tmp_path: Path) -> None:
    model, _ = load_base(build_base(tmp_path / "base", tied=True), dtype=torch.float32)
    first, again, other = (write_freely(model, 0, seed) for seed in (1, 1, 2))
    assert first == again != other
    assert all(passage[0] == 0 and 0 not in passage[1:] for passage in first)


def test_stopping_leaves_the_folder_as_it_was(made: tuple[ModelFiles, Path, list[Part]]) -> None:
    files, folder, parts = made
    before = sorted(path.name for path in folder.iterdir())
    with pytest.raises(StudioError, match=r"job\.stopped"):
        make_starts(files, folder, parts, HELD, ("fitted",), "fitted", progress=quiet, stopping=lambda: True)
    assert sorted(path.name for path in folder.iterdir()) == before


def test_another_base_and_a_corpus_without_text_are_refused(
    made: tuple[ModelFiles, Path, list[Part]], tmp_path: Path
) -> None:
    files, folder, parts = made
    other = replace(files, tokenizer_folder=folder)
    with pytest.raises(StudioError, match=r"rows\.other_base"):
        make_starts(other, folder, parts, HELD, ("mean",), "mean", progress=quiet, stopping=lambda: False)
    parts[0].path.write_text("only English here\n" * 50, encoding="utf8")
    with pytest.raises(StudioError, match=r"rows\.no_text"):
        make_starts(files, folder, parts, HELD, ("fitted",), "fitted", progress=quiet, stopping=lambda: False)


def test_held_out_passages_are_not_read(
    made: tuple[ModelFiles, Path, list[Part]], monkeypatch: pytest.MonkeyPatch
) -> None:
    files, folder, parts = made
    parts[0].path.write_text("\n".join(PERSIAN) + "\n", encoding="utf8")
    with pytest.raises(StudioError, match=r"rows\.no_text"):
        make_starts(files, folder, parts, HELD, ("fitted",), "fitted", progress=quiet, stopping=lambda: False)


def test_a_start_that_costs_english_is_not_picked() -> None:
    def started(method: Any, fa: float, en: float) -> Started:
        return Started(method=method, fa=fa, en=en, tokens=0, seconds=0)

    dear, calm = started("fitted", 1.0, 1.006), started("mean", 2.0, 1.004)
    assert pick([dear, calm], 1.0) == "mean"
    assert pick([started("fitted", 1.0, 1.004), calm], 1.0) == "fitted"
    assert pick([dear, started("last", 0.5, 1.2)], 1.0) == "fitted"


def gemma(folder: Path, vocabulary: int) -> Any:
    """A random Gemma-3, which multiplies what it looks up by the square root of its width."""
    from transformers import Gemma3ForCausalLM, Gemma3TextConfig

    config = Gemma3TextConfig(
        vocab_size=vocabulary,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        pad_token_id=0,
    )
    torch.manual_seed(2)
    model = Gemma3ForCausalLM(config).eval()
    torch.nn.init.normal_(model.get_input_embeddings().weight)  # large, or the layers drown what was looked up
    return model


@pytest.mark.parametrize("family", ["llama", "gemma"])
def test_the_loss_is_that_of_the_model_with_its_rows_in_place(tmp_path: Path, family: str) -> None:
    files = build_base(tmp_path / "base", tied=True)
    folder = tmp_path / "extended"
    vocabulary = learn_for(files.folder, folder)
    model = load_base(files, dtype=torch.float32)[0] if family == "llama" else gemma(tmp_path, vocabulary.first)
    ids = load_tokenizer(files.folder).get_vocab(with_added_tokens=False)
    rows = closed_form("mean", vocabulary, ids, tables_of(model), 0)
    passages = [[0, *ids_of(folder, text)] for text in CORPUS[:6]]
    body = fitting._Body(model, tables_of(model), vocabulary.first, spell(vocabulary, ids))
    with torch.no_grad():
        loss, touched = body.loss(passages, rows.input, rows.input, compare=False)
    met = {token for passage in passages for token in passage if token >= vocabulary.first}
    assert {place + vocabulary.first for place in touched.tolist()} == met
    place_rows(model, rows)
    end = vocabulary.first + vocabulary.added
    losses = []
    with torch.inference_mode():
        for passage in passages:
            logits = model(torch.tensor([passage[:-1]])).logits[0, :, :end]
            losses.append(torch.nn.functional.cross_entropy(logits, torch.tensor(passage[1:]), reduction="none"))
    torch.testing.assert_close(loss, torch.cat(losses).mean(), rtol=1e-5, atol=1e-5)


def test_distillation_looks_where_each_token_ends(tmp_path: Path) -> None:
    files = build_base(tmp_path / "base", tied=True)
    folder = tmp_path / "extended"
    vocabulary = learn_for(files.folder, folder)
    model, _ = load_base(files, dtype=torch.float32)
    ids = load_tokenizer(files.folder).get_vocab(with_added_tokens=False)
    body = fitting._Body(model, tables_of(model), vocabulary.first, spell(vocabulary, ids))
    texts = CORPUS[:3]
    found = body._old_states([[0, *ids_of(folder, text)] for text in texts])

    def bytes_until(where: Path, text: str) -> list[int]:
        tokenizer = load_tokenizer(where)
        lengths = [len(tokenizer.id_to_token(token) or "") for token in ids_of(where, text)]  # one character a byte
        return [sum(lengths[:place]) for place in range(len(lengths) + 1)]

    expected = []
    with torch.inference_mode():
        for text in texts:
            read = torch.tensor([[0, *ids_of(files.folder, text)]])
            states = model.get_decoder()(read, use_cache=False).last_hidden_state[0]
            old, new = bytes_until(files.folder, text), bytes_until(folder, text)
            expected += [states[old.index(end)] for end in new[:-1]]
    torch.testing.assert_close(found, torch.stack(expected), rtol=1e-4, atol=1e-5)
