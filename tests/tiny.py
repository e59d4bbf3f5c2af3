"""A complete model of 100,000 weights with its own small tokenizer, made in a second: what most tests run on."""

from __future__ import annotations

from pathlib import Path

import pytest

DOCUMENT_START = 0  # <|endoftext|>, as in the starter model
TURN_START = 1  # <|im_start|>
TURN_END = 2  # <|im_end|>, which ends an answer

CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)

SENTENCES = (
    "سارا هر روز صبح به باغ می‌رود و به گل‌ها آب می‌دهد.",
    "گربهٔ کوچک زیر درخت سیب خوابیده بود و پروانه‌ها دورش می‌چرخیدند.",
    "مادربزرگ برای بچه‌ها قصهٔ ماهی طلایی را تعریف کرد.",
    "امروز هوا ابری است؛ شاید عصر باران ببارد.",
    "کتاب‌های تازه روی میز کنار پنجره بودند.",
    "قیمت نان ۱۲٬۵۰۰ تومان بود و حالا ۱۴٬۰۰۰ تومان است.",
    "چرا آسمان آبی است؟ چون نور آبی بیشتر پراکنده می‌شود.",
    "برادرم دیشب ساعت ۹ از سفر برگشت و خیلی خسته بود.",
    "Every morning Sara goes to the garden and waters the flowers.",
    "The little cat slept under the apple tree while butterflies flew around it.",
    "Grandmother told the children the story of the golden fish.",
    "It is cloudy today, and it may rain in the evening.",
    "The new books were on the table beside the window.",
    "Bread was 12,500 tomans and now it is 14,000 tomans.",
    "def add(a, b):\n    return a + b",
    "Why is the sky blue? Because blue light is scattered more.",
)


def build_tiny(folder: Path, *, vocabulary: int = 512, seed: int = 1) -> Path:
    """Write a random Llama-style model (2 layers, tied, bf16) with a byte-level tokenizer and a chat template.

    Args:
        folder: Made when missing; filled like any folder that `transformers` saves.
        vocabulary: Tokens, special ones included; the learned part comes from `SENTENCES`.
        seed: Of the random weights.
    """
    import torch
    from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

    tokenizer = tiny_tokenizer(vocabulary)
    tokenizer.save_pretrained(folder)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=4096,
        tie_word_embeddings=True,
        bos_token_id=TURN_START,
        eos_token_id=TURN_END,
        pad_token_id=TURN_END,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LlamaForCausalLM(config).to(torch.bfloat16)
    model.generation_config = GenerationConfig(
        bos_token_id=TURN_START, eos_token_id=TURN_END, pad_token_id=TURN_END, do_sample=False
    )
    model.save_pretrained(folder)
    return folder


def tiny_tokenizer(vocabulary: int = 512):  # type: ignore[no-untyped-def]  # noqa: ANN201  transformers is imported inside
    """A `PreTrainedTokenizerFast` laid out like the starter's: specials first, single digits, byte-level BPE."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(SENTENCES, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
        pad_token="<|im_end|>",
        chat_template=CHAT_TEMPLATE,
        clean_up_tokenization_spaces=False,
    )


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of one tiny model, shared by the whole session: read it, copy it, never write into it."""
    return build_tiny(tmp_path_factory.mktemp("tiny") / "model")
