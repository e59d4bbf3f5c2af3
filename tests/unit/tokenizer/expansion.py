"""A tiny base and a vocabulary learned for it, for tests of start rows."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from studio.models.files import ModelFiles
from studio.tokenizer.counting import blocks_of, count_words
from studio.tokenizer.expand import Watch, learn
from studio.tokenizer.export import extend
from studio.tokenizer.families import read_family
from studio.tokenizer.scripts import find_script
from studio.tokenizer.vocabulary import Vocabulary, write_vocabulary
from tests.tiny import DOCUMENT_START, TURN_END, TURN_START, tiny_tokenizer
from tests.unit.tokenizer.families import CORPUS

QUIET = Watch(lambda share, note: None, lambda: False)


def build_base(folder: Path, *, tied: bool, rows: int | None = None) -> ModelFiles:
    """A random Llama of two layers in fp32 with tables of `rows` rows, as many as tokens by default."""
    tokenizer = tiny_tokenizer(400)
    tokenizer.save_pretrained(folder)
    config = LlamaConfig(
        vocab_size=rows or len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        tie_word_embeddings=tied,
        bos_token_id=DOCUMENT_START,
        eos_token_id=TURN_END,
        pad_token_id=TURN_START,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        LlamaForCausalLM(config).save_pretrained(folder)
    return ModelFiles("local:tiny", "local:tiny", folder, folder)


def learn_for(base: Path, out: Path, size: int = 40) -> Vocabulary:
    """Learn `size` pieces from the tests' corpus for the tokenizer in `base` and write them to `out`."""
    family, script = read_family(base), find_script()
    counts = count_words(blocks_of(CORPUS), script.found.pattern)
    found = learn(family, counts, size, script, QUIET, reference="local:tiny")
    write_vocabulary(family, found, out, extend(family.definition, found.extension))
    return found
