"""What the vocabulary tab shows of a learned vocabulary at a size, and of a corpus before anything is learned.

Figures come from ``vocabulary.json`` alone; only `english` makes the tokenizer of a size, because it is a proof.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from studio.auth import owner_only
from studio.data.starters import story_pairs
from studio.errors import StudioError
from studio.models.files import TOKENIZER, locate_tokenizer, read_config
from studio.models.tokenizer import load_tokenizer
from studio.services import datasets
from studio.services.studio import Studio
from studio.services.tokenizer import Cost, against_english, first_lines
from studio.services.vocabulary import folder_of, is_cut, listing, opened
from studio.tokenizer import families, prefix, report, vocabulary, worth
from studio.tokenizer.candidates import read_piece
from studio.tokenizer.fertility import Piece, measure_fertility
from studio.tokenizer.proof import prove
from studio.tokenizer.vocabulary import FILE, Vocabulary

SHOWN = 200
"""New tokens that a page lists at once."""

ARABIC_LETTERS = str.maketrans("يك", "یک")
WORTH_SAYING = 0.01


@dataclass(frozen=True, slots=True)
class View:
    """A vocabulary at one size. `parity` is tokens of the Persian stories over those of the English ones.

    `advice` is None for one that was cut to a size before: that choice is made.
    """

    name: str
    vocabulary: Vocabulary
    figures: worth.Figures
    advice: worth.Advice | None
    knee: int
    parity_before: float
    parity: float


@dataclass(frozen=True, slots=True)
class NewToken:
    """A learned piece: its place in the order from 1 on, its text, and how often it stood in the corpus then."""

    order: int
    text: str
    count: int


@dataclass(frozen=True, slots=True)
class ArabicLetters:
    """Arabic ي and ك in a corpus: their share of all yeh and kaf, and tokens per word as it is and normalised."""

    share: float
    before: float
    after: float

    @property
    def saving(self) -> float:
        return 1 - self.after / self.before


@dataclass(frozen=True, slots=True)
class Compared:
    """A base on the studio's stories, and the length of its vocabulary."""

    cost: Cost
    vocabulary: int


@owner_only
def refusal(studio: Studio, model: str) -> StudioError | None:
    """Why the tokenizer of `model` cannot be extended, or cannot be read; None if it can."""
    try:
        folder = locate_tokenizer(model, studio.settings)
        facts = (folder / TOKENIZER).stat()
        return _refusal(folder, facts.st_mtime_ns)
    except StudioError as error:
        return error


@lru_cache(maxsize=16)
def _refusal(folder: Path, changed: int) -> StudioError | None:
    try:
        families.read_family(folder)
    except StudioError as error:
        return error
    return None


@owner_only
def view(studio: Studio, name: str, size: int | None = None) -> View:
    """The vocabulary called `name` at `size`, held within what there is; by default at the recommended size.

    One that `keep_size` made is shown whole.

    Raises:
        StudioError: ``vocabulary.unknown``, ``vocabulary.not_continued`` or ``vocabulary.not_a_vocabulary``.
    """
    folder = folder_of(studio, name)
    found = opened(folder)
    if found.method != "continued":
        raise StudioError("vocabulary.not_continued", method=found.method)
    persian, english = _story_tokens(folder, _changed(folder))
    knee = worth.knee(found.curve)
    advice = None if is_cut(name, found) else _advice(folder, _changed(folder))
    if size is None:
        size = found.added if advice is None else advice.size or knee
    figures = worth.figures(found, max(0, min(size, found.added)), shape(studio, found))
    return View(name, found, figures, advice, knee, persian[0] / english, persian[figures.size] / english)


@owner_only
def shape(studio: Studio, found: Vocabulary) -> worth.Shape | None:
    """The size of the base, if it is on this machine with its config."""
    try:
        folder = locate_tokenizer(found.base, studio.settings)
        return worth.read_shape(read_config(folder), found.base_vocabulary)
    except StudioError:  # nothing but tokenizer files, or the base is gone: the figures that need it are left out
        return None


@owner_only
def sentence_pieces(studio: Studio, name: str, sentence: str, size: int) -> list[tuple[Piece, bool]]:
    """The pieces of a sentence with `size` new tokens, each with whether it is new.

    Raises:
        StudioError: ``vocabulary.unknown`` or ``tokenizer.no_words``.
    """
    if not sentence.split():
        raise StudioError("tokenizer.no_words")
    folder = folder_of(studio, name)
    return _prefixes(folder, _changed(folder)).pieces(sentence, size)


@owner_only
def tokens(studio: Studio, name: str, size: int, search: str = "") -> tuple[list[NewToken], int]:
    """The first `SHOWN` of the new tokens up to `size` whose text holds `search`, and how many there are."""
    folder = folder_of(studio, name)
    wanted = search.strip("\r\n\t ").translate(ARABIC_LETTERS)
    found = [token for token in _tokens(folder, _changed(folder))[:size] if wanted in token.text]
    return found[:SHOWN], len(found)


@owner_only
def english(studio: Studio, name: str, size: int) -> tuple[int, int]:
    """How many texts without the script change with `size` new tokens, and how many there are: it is measured.

    The texts are the English of the studio's stories and the studio's own program.
    """
    folder = folder_of(studio, name)
    key = (folder, _changed(folder), size)
    if key not in _measured:
        _measured[key] = prove(folder, size)
    return _measured[key]


@owner_only
def known_english(studio: Studio, name: str, size: int) -> bool:
    """Whether `english` has its answer for this size already."""
    folder = folder_of(studio, name)
    return (folder, _changed(folder), size) in _measured


@owner_only
def arabic_letters(studio: Studio, model: str, corpus: Sequence[str]) -> ArabicLetters | None:
    """What Arabic ي and ك in the datasets cost a tokenizer; None if at most 1% of yeh and kaf are such.

    Measured with the newest vocabulary learned for `model`, else with its own tokenizer, on the first 1,000,000
    characters of each dataset; one that is not yet in the workspace is left out.

    Raises:
        StudioError: ``model.*`` or ``data.*``.
    """
    lines = [line for name in corpus if datasets.exists(studio, name) for line in first_lines(studio, name)]
    text = "".join(lines)
    arabic = text.count("ي") + text.count("ك")
    share = arabic / max(1, arabic + text.count("ی") + text.count("ک"))
    if share <= WORTH_SAYING:
        return None
    learned = [name for name, found in listing(studio) if found.base == model and found.method == "continued"]
    tokenizer = load_tokenizer(folder_of(studio, learned[0]) if learned else locate_tokenizer(model, studio.settings))
    before = measure_fertility(tokenizer, lines)
    after = measure_fertility(tokenizer, (line.translate(ARABIC_LETTERS) for line in lines))
    return ArabicLetters(share, before.tokens_per_word, after.tokens_per_word)


@owner_only
def compare(studio: Studio, models: Iterable[str]) -> list[Compared]:
    """Several bases on the same stories, the cheapest for Persian first.

    Raises:
        StudioError: ``vocabulary.nothing_to_compare`` or ``model.*``.
    """
    wanted = list(dict.fromkeys(models))
    if not wanted:
        raise StudioError("vocabulary.nothing_to_compare")
    found = [
        Compared(
            against_english(studio, model),
            load_tokenizer(locate_tokenizer(model, studio.settings)).get_vocab_size(),
        )
        for model in wanted
    ]
    return sorted(found, key=lambda each: each.cost.persian.tokens_per_word)


def _changed(folder: Path) -> int:
    return (folder / FILE).stat().st_mtime_ns


@lru_cache(maxsize=8)
def _advice(folder: Path, changed: int) -> worth.Advice:
    return worth.advise(opened(folder))


@lru_cache(maxsize=4)
def _prefixes(folder: Path, changed: int) -> prefix.Prefixes:
    found = opened(folder)
    return prefix.Prefixes(report.load(vocabulary.base_of(folder, found).definition), found)


@lru_cache(maxsize=8)
def _story_tokens(folder: Path, changed: int) -> tuple[list[int], int]:
    """Tokens of the Persian stories at every size, and of the English ones, which stay what they are."""
    pairs = story_pairs()
    found = _prefixes(folder, changed)
    persian = found.counts(line for pair in pairs for line in pair.fa.splitlines())
    return persian, found.counts(line for pair in pairs for line in pair.en.splitlines())[0]


@lru_cache(maxsize=4)
def _tokens(folder: Path, changed: int) -> list[NewToken]:
    found = opened(folder)
    each = zip(found.extension.pieces, found.counts, strict=True)
    return [NewToken(order, read_piece(piece, found.kind) or piece, count)
            for order, (piece, count) in enumerate(each, start=1)]  # fmt: skip


_measured: dict[tuple[Path, int, int], tuple[int, int]] = {}
"""What `english` found, by folder, its change and the size: two numbers each."""
