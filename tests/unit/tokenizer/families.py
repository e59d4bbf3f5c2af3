"""Small tokenizers of every family, trained in a second from the tests' own sentences."""

from __future__ import annotations

import io
import json
import struct
from pathlib import Path
from typing import Any

import sentencepiece
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from tests.tiny import CHAT_TEMPLATE, SENTENCES

QWEN_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
SPECIALS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
# English has the quotation marks whose first two bytes are those of the half-space.
ENGLISH = (*(text for text in SENTENCES if text.isascii()), "He said “well” — and left… “Why?” — “I don’t know…”") * 3
BASE = (*ENGLISH, *SENTENCES[:2])

CORPUS = (
    *SENTENCES[:8],
    "می‌روم می‌روی می‌رود می‌رویم می‌روید می‌روند",
    "کتاب‌ها و خانه‌ها و درخت‌های باغ‌های سبز",
    "سلام! حال شما چطور است؟ خوبم، ممنون؛ شما چطورید؟",
    "او گفت: «فردا ساعت ۹ به API سر می‌زنم» و رفت.",
    "ژاله و مژگان، ژرف و پژوهش؛ هژده مژهٔ واژگون",
) * 6


def byte_level(*, specials_inside: bool, split: str = "gpt2", merges_as_strings: bool = False) -> dict[str, Any]:
    """A tokenizer.json like GPT-2's and SmolLM2's, or with specials outside the vocabulary as Llama-3's and Qwen's."""
    tokenizer = Tokenizer(models.BPE())
    if split == "qwen":
        tokenizer.normalizer = normalizers.NFC()
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Split(Regex(QWEN_SPLIT), "isolated"),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
            ]
        )
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
        )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=460,
        special_tokens=list(SPECIALS) if specials_inside else [],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(BASE, trainer)
    definition: dict[str, Any] = json.loads(tokenizer.to_str())
    if not specials_inside:
        rows = len(definition["model"]["vocab"])
        definition["added_tokens"] = [
            {
                "id": rows + place,
                "content": token,
                "single_word": False,
                "lstrip": False,
                "rstrip": False,
                "normalized": False,
                "special": True,
            }
            for place, token in enumerate(SPECIALS)
        ]
    if merges_as_strings:
        definition["model"]["merges"] = [" ".join(pair) for pair in definition["model"]["merges"]]
    return definition


def byte_fallback(*, added: int = 0, prefix: bool = True) -> tuple[dict[str, Any], bytes]:
    """A tokenizer.json and tokenizer.model like Llama-2's; `added` tokens behind the file's end as Phi-3 has them.

    Without `prefix` no space is put before a text, as in Gemma.
    """
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(ENGLISH),
        model_writer=written,
        vocab_size=420,
        model_type="bpe",
        byte_fallback=True,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        add_dummy_prefix=prefix,
        split_digits=True,
        hard_vocab_limit=False,
        allow_whitespace_only_pieces=True,
        minloglevel=2,
    )
    model = _runs_last(written.getvalue()) if prefix else written.getvalue()
    return _converted(sentencepiece.SentencePieceProcessor(model_proto=model), added, prefix), model


def _runs_last(model: bytes) -> bytes:
    """Runs of spaces with the score -1e9, as Llama-2 and Phi-3 have them: such a piece is made after all others."""
    changed = 0
    for length in range(2, 17):
        text = ("▁" * length).encode()
        head = bytes([0x0A, len(text)]) + text + b"\x15"
        if head in model:
            place = model.index(head) + len(head)
            model = model[:place] + struct.pack("<f", -1e9) + model[place + 4 :]
            changed += 1
    assert changed
    return model


def _converted(processor: Any, added: int, prefix: bool) -> dict[str, Any]:
    pieces = [processor.id_to_piece(place) for place in range(processor.get_piece_size())]
    vocabulary = {piece: place for place, piece in enumerate(pieces)}
    merges = []
    for place, piece in sorted(enumerate(pieces), key=lambda each: -processor.get_score(each[0])):
        if processor.is_byte(place) or processor.is_control(place) or processor.is_unknown(place):
            continue
        splits = [(piece[:cut], piece[cut:]) for cut in range(1, len(piece))]
        merges += [list(split) for split in splits if split[0] in vocabulary and split[1] in vocabulary]
    steps: list[Any] = [normalizers.Prepend("▁")] if prefix else []
    tokenizer = Tokenizer(
        models.BPE(vocabulary, [tuple(pair) for pair in merges], unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    )
    tokenizer.normalizer = normalizers.Sequence([*steps, normalizers.Replace(" ", "▁")])
    tail: list[Any] = [decoders.Strip(" ", 1, 0)] if prefix else []
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), *tail]
    )
    tokenizer.add_special_tokens(["<unk>", "<s>", "</s>"])
    tokenizer.add_special_tokens([f"<|placeholder{place}|>" for place in range(added)])
    definition: dict[str, Any] = json.loads(tokenizer.to_str())
    if added:  # Phi-3's are in added_tokens alone
        for place in range(added):
            definition["model"]["vocab"].pop(f"<|placeholder{place}|>", None)
    return definition


def write(folder: Path, definition: dict[str, Any], model: bytes | None = None) -> Path:
    """A folder with nothing but tokenizer files."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer.json").write_text(json.dumps(definition, ensure_ascii=False), encoding="utf8")
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "chat_template": CHAT_TEMPLATE,
        "clean_up_tokenization_spaces": False,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf8")
    if model is not None:
        (folder / "tokenizer.model").write_bytes(model)
    return folder


def build(name: str, folder: Path) -> Path:
    """The family called `name` in `folder`."""
    match name:
        case "gpt2":
            return write(folder, byte_level(specials_inside=True, merges_as_strings=True))
        case "qwen":
            return write(folder, byte_level(specials_inside=False, split="qwen"))
        case "llama3":
            definition = byte_level(specials_inside=False, split="qwen", merges_as_strings=True)
            definition["normalizer"] = None
            definition["model"]["ignore_merges"] = True
            return write(folder, definition)
        case "llama2":
            return write(folder, *byte_fallback())
        case "phi3":
            return write(folder, *byte_fallback(added=11))
        case "gemma":
            return write(folder, *byte_fallback(prefix=False))
    raise ValueError(name)


BYTE_LEVEL = ("gpt2", "qwen", "llama3")
BYTE_FALLBACK = ("llama2", "phi3", "gemma")
FAMILIES = (*BYTE_LEVEL, *BYTE_FALLBACK)
CHECK = (  # the text by whose ids llama.cpp's converter (MIT) tells one splitting from another
    "\n \n\n \n\n\n \t \t\t \t\n  \n   \n    \n     \n🚀 (normal) 😶\u200d🌫\ufe0f (multiple emojis "
    "concatenated) ✅ 🦙🦙 3 33 333 3333 33333 333333 3333333 33333333 3.3 3..3 3...3 កាន់តែពិសេសអាច😁 "
    "?我想在apple工作1314151天～ ------======= нещо на Български ''''''```````\"\"\"\"......!!!!!!?????? "
    "I've been 'told he's there, 'RE you sure? 'M not sure I'll make it, 'D you like some tea? "
    "We'Ve a'lL"
)
