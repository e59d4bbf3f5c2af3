"""What tests of extended tokenizers share: learning from the tests' sentences, and texts to try them on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hypothesis import strategies as st
from tokenizers import Tokenizer

from studio.tokenizer import vocabulary as folders
from studio.tokenizer.counting import blocks_of, count_words
from studio.tokenizer.expand import Watch, learn
from studio.tokenizer.export import extend
from studio.tokenizer.families import read_family
from studio.tokenizer.scripts import JOINER, find_script
from studio.tokenizer.vocabulary import Vocabulary, write_vocabulary
from tests.unit.tokenizer.families import CORPUS, ENGLISH

QUIET = Watch(lambda share, note: None, lambda: False)
SIZE = 220
CODE = Path(folders.__file__).read_text(encoding="utf8").splitlines()

SCRIPT = find_script()
OTHER = st.text(st.characters(exclude_categories=("Cs",))).filter(lambda text: not SCRIPT.touches(text))
PERSIAN = st.text(st.sampled_from("ابپتسشرزژدذمنوهیکگچخ‌َُِّ؟،۰۱۲ \n«»،؛aA1."), max_size=60)
MIXED = st.lists(st.sampled_from([*CORPUS, *ENGLISH, *CODE, " ", "\n", JOINER, "“", "ي", "ك"]), max_size=5).map(
    "".join
)
# Several spaces before a word: where a run of them is a piece, SentencePiece and tokenizer.json may come to differ.
SPACED = st.lists(st.sampled_from([*CORPUS[0].split(), "  ", "   ", " ", "     "]), max_size=12).map("".join)
ANY = st.one_of(SPACED, PERSIAN, MIXED, st.text(st.characters(exclude_categories=("Cs",)), max_size=40))


def expand(
    base: Path, out: Path, size: int = SIZE, corpus: Sequence[str] = CORPUS, script: str = "arabic"
) -> Vocabulary:
    family, target = read_family(base), find_script(script)
    counts = count_words(blocks_of(corpus), target.found.pattern)
    found = learn(family, counts, size, target, QUIET, reference=f"local:{base}")
    write_vocabulary(family, found, out, extend(family.definition, found.extension))
    return found


def ids(tokenizer: Tokenizer, text: str) -> list[int]:
    return list(tokenizer.encode(text, add_special_tokens=False).ids)
