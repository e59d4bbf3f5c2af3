"""Start rows that need no text, and how they come into a model and onto disk."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from studio.errors import StudioError
from studio.models.files import ROWS
from studio.models.load import load_base
from studio.models.new_rows import NewRows, place_rows, table_length
from studio.tokenizer.embeddings import Tables, closed_form, spell, tables_of, weighted_mean
from studio.tokenizer.families import read_family
from studio.tokenizer.report import load
from studio.tokenizer.rows import load_rows, save_rows
from tests.unit.tokenizer.expansion import build_base, learn_for
from tests.unit.tokenizer.families import byte_fallback, write


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    definition, model = byte_fallback()
    return write(tmp_path / "base", definition, model), tmp_path / "extended"


def test_a_piece_is_spelled_as_the_base_cuts_it(tmp_path: Path) -> None:
    base = build_base(tmp_path / "base", tied=True).folder
    vocabulary = learn_for(base, tmp_path / "extended")
    family = read_family(base)
    tokenizer = load(family.definition)
    for piece, parts in zip(vocabulary.extension.pieces, spell(vocabulary, family.vocabulary), strict=True):
        assert parts == [token.id for token in tokenizer.model.tokenize(piece)]


def test_missing_letters_are_spelled_in_bytes(folders: tuple[Path, Path]) -> None:
    vocabulary = learn_for(*folders)
    family = read_family(folders[0])
    pieces = {place: piece for piece, place in family.vocabulary.items()}
    assert vocabulary.letters
    for piece, parts in zip(vocabulary.extension.pieces, spell(vocabulary, family.vocabulary), strict=True):
        spelled = b"".join(
            bytes([int(pieces[part][3:5], 16)]) if pieces[part].startswith("<0x") else pieces[part].encode()
            for part in parts
        )
        assert spelled.decode() == piece


def test_rows_are_means_of_the_parts(folders: tuple[Path, Path]) -> None:
    vocabulary = learn_for(*folders)
    ids = read_family(folders[0]).vocabulary
    length = max(ids.values()) + 1
    tables = Tables(torch.randn(length, 6, dtype=torch.bfloat16), torch.randn(length, 6), 0.02)
    parts = spell(vocabulary, ids)
    names = {place: piece for piece, place in ids.items()}
    mean = closed_form("mean", vocabulary, ids, tables, 0)
    weighted = closed_form("weighted", vocabulary, ids, tables, 0)
    last = closed_form("last", vocabulary, ids, tables, 0)
    assert mean.ids.tolist() == list(range(vocabulary.first, vocabulary.first + len(parts)))
    for place, part in enumerate(parts):
        for rows, table in ((mean.input, tables.input), (mean.output, tables.output)):
            assert rows is not None
            assert table is not None
            torch.testing.assert_close(rows[place], torch.stack([table[one].float() for one in part]).mean(0))
        sizes = [1 if names[one].startswith("<0x") else len(names[one].encode()) for one in part]
        expected = sum(size * tables.input[one].float() for size, one in zip(sizes, part, strict=True)) / sum(sizes)
        torch.testing.assert_close(weighted.input[place], expected)
        assert torch.equal(last.input[place], tables.input[part[-1]].float())
    assert last.output is not None
    assert mean.output is not None
    assert torch.equal(last.output, mean.output)


def test_random_rows_are_drawn_as_the_family_draws_them(tmp_path: Path) -> None:
    files = build_base(tmp_path / "base", tied=False)
    vocabulary = learn_for(files.folder, tmp_path / "extended")
    model, _ = load_base(files, dtype=torch.float32)
    ids = read_family(files.folder).vocabulary
    rows = closed_form("random", vocabulary, ids, tables_of(model), 7)
    again = closed_form("random", vocabulary, ids, tables_of(model), 7)
    assert rows.output is not None
    assert again.output is not None
    assert torch.equal(rows.input, again.input)
    assert not torch.equal(rows.input, rows.output)
    assert abs(float(rows.input.std()) / model.config.initializer_range - 1) < 0.1


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("padding", [0, 20, 200])
def test_rows_come_in_by_id(tmp_path: Path, tied: bool, padding: int) -> None:
    tokens = 400
    files = build_base(tmp_path / "base", tied=tied, rows=tokens + padding)
    vocabulary = learn_for(files.folder, tmp_path / "extended")
    model, _ = load_base(files, dtype=torch.float32)
    before = [table.weight.detach().clone() for table in (model.get_input_embeddings(), model.get_output_embeddings())]
    rows = closed_form("mean", vocabulary, read_family(files.folder).vocabulary, tables_of(model), 0)
    place_rows(model, rows)
    after = [model.get_input_embeddings().weight, model.get_output_embeddings().weight]
    length = table_length(tokens + padding, vocabulary.first + vocabulary.added)
    new = slice(vocabulary.first, vocabulary.first + vocabulary.added)
    for old, table, wanted in zip(before, after, (rows.input, rows.input if tied else rows.output), strict=True):
        assert len(table) == length >= tokens + padding
        assert length == tokens + padding or length % 64 == 0
        assert torch.equal(table[: vocabulary.first], old[: vocabulary.first])
        assert torch.equal(table[new], wanted)
        kept = max(new.stop, len(old))
        assert torch.equal(table[new.stop : len(old)], old[new.stop :])
        assert torch.allclose(table[kept:], old.mean(0).expand(length - kept, -1))
    assert (after[0].data_ptr() == after[1].data_ptr()) == tied
    assert model.config.vocab_size == length


def test_old_tokens_are_scored_as_before_but_for_what_new_ones_take(tmp_path: Path) -> None:
    files = build_base(tmp_path / "base", tied=True)
    vocabulary = learn_for(files.folder, tmp_path / "extended")
    model, _ = load_base(files, dtype=torch.float32)
    tokens = torch.tensor([[0, 30, 31, 32, 33]])
    rows = closed_form("mean", vocabulary, read_family(files.folder).vocabulary, tables_of(model), 0)
    with torch.inference_mode():
        before = model(tokens).logits
    place_rows(model, rows)
    with torch.inference_mode():
        after = model(tokens).logits
    torch.testing.assert_close(after[..., : before.shape[-1]], before)


def test_rows_survive_the_disk_and_refuse_strangers(tmp_path: Path) -> None:
    files = build_base(tmp_path / "base", tied=False)
    folder = tmp_path / "extended"
    vocabulary = learn_for(files.folder, folder)
    with pytest.raises(StudioError, match=r"rows\.missing"):
        load_rows(folder, vocabulary)
    rows = NewRows(torch.arange(3), torch.randn(3, 4), torch.randn(3, 4))
    save_rows(folder, rows, vocabulary)
    found = load_rows(folder, vocabulary)
    assert torch.equal(found.input, rows.input)
    assert found.output is not None
    assert rows.output is not None
    assert torch.equal(found.output, rows.output)
    assert torch.equal(found.ids, rows.ids)
    with pytest.raises(StudioError, match=r"rows\.other_vocabulary"):
        load_rows(folder, vocabulary.model_copy(update={"base_hash": "0"}))
    save_file({"ids": rows.ids}, folder / ROWS)
    with pytest.raises(StudioError, match=r"rows\.broken"):
        load_rows(folder, vocabulary)
    (folder / ROWS).write_bytes((folder / ROWS).read_bytes()[:20])
    with pytest.raises(StudioError, match=r"rows\.broken"):
        load_rows(folder, vocabulary)


def test_rows_name_their_tokens(tmp_path: Path) -> None:
    from safetensors import safe_open

    files = build_base(tmp_path / "base", tied=True)
    folder = tmp_path / "extended"
    vocabulary = learn_for(files.folder, folder)
    save_rows(folder, NewRows(torch.arange(2), torch.zeros(2, 4), None), vocabulary)
    with safe_open(folder / ROWS, framework="pt") as file:
        about = file.metadata()
    assert json.loads(about["tokens"]) == vocabulary.extension.pieces
    assert about["base_hash"] == vocabulary.base_hash
    assert set(load_file(folder / ROWS)) == {"ids", "input"}


@pytest.mark.parametrize(("width", "output"), [(16, None), (32, torch.zeros(2, 32))])
def test_rows_of_another_shape_are_refused(tmp_path: Path, width: int, output: torch.Tensor | None) -> None:
    model, _ = load_base(build_base(tmp_path / "base", tied=True), dtype=torch.float32)
    with pytest.raises(StudioError, match=r"rows\.other_shape"):
        place_rows(model, NewRows(torch.arange(400, 402), torch.zeros(2, width), output))


def test_a_mean_of_one_part_is_the_part() -> None:
    table = torch.randn(5, 3)
    assert torch.equal(weighted_mean(table, [[4], [1, 1]]), table[[4, 1]])
