"""The real llama.cpp's tokenizer on a vocabulary: a GGUF file around a model of almost nothing."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGUFReader, GGUFWriter

from studio.models.files import TOKENIZER
from studio.tokenizer.families import MODEL
from studio.tokenizer.sentencepiece import ModelPiece, read_pieces
from studio.tokenizer.vocabulary import read_vocabulary

WIDTH = 32
_NORMAL, _UNKNOWN, _CONTROL, _USER, _BYTE = 1, 2, 3, 4, 6


def llama_tokens(gguf: Path, lines: Sequence[str]) -> list[list[int]]:
    """Ids as the real llama.cpp gives them."""
    import xllamacpp

    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(gguf)
    parameters.n_ctx, parameters.warmup, parameters.port = 256, False, 0
    server = xllamacpp.Server(parameters)
    found = []
    for line in lines:
        body = json.dumps({"content": line, "add_special": False, "parse_special": True}).encode()
        request = urllib.request.Request(
            f"{server.listening_address}/tokenize", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            found.append(json.load(answer)["tokens"])
    return found


def write_byte_level(folder: Path, path: Path, pre: str) -> Path:
    """A GGUF file with the byte-level tokenizer in `folder`, as llama.cpp's converter would write it."""
    definition = json.loads((folder / TOKENIZER).read_text(encoding="utf8"))
    added = {token["id"]: token for token in definition["added_tokens"]}
    names = {place: piece for piece, place in definition["model"]["vocab"].items()}
    names |= {place: token["content"] for place, token in added.items()}
    merges = [each if isinstance(each, str) else " ".join(each) for each in definition["model"]["merges"]]
    types = [_NORMAL if place not in added else _CONTROL if added[place]["special"] else _USER for place in names]
    kinds = dict(zip(names, types, strict=True))
    writer = _writer(path, len(names), "gpt2", pre)
    writer.add_token_list([names[place] for place in range(len(names))])
    writer.add_token_types([kinds[place] for place in range(len(names))])
    writer.add_token_merges(merges)
    return _finish(writer, len(names), path)


def write_sentencepiece(folder: Path, path: Path, *, prefix: bool, base: Path | None = None) -> Path:
    """A GGUF file with the tokenizer.model in `folder`, or with the pieces of the GGUF `base` and the new ones."""
    pieces = read_pieces((folder / MODEL).read_bytes()) if base is None else _extended(base, folder)
    writer = _writer(path, len(pieces), "llama", "default")
    writer.add_token_list([piece.text.encode() for piece in pieces])
    writer.add_token_scores([piece.score for piece in pieces])
    writer.add_token_types([piece.type for piece in pieces])
    writer.add_add_space_prefix(prefix)
    return _finish(writer, len(pieces), path)


def _extended(base: Path, folder: Path) -> list[ModelPiece]:
    """What the starter's GGUF holds, then new pieces with scores below the lowest, as in a tokenizer.model."""
    fields = GGUFReader(base).fields
    names, scores, types = (fields[f"tokenizer.ggml.{key}"].contents() for key in ("tokens", "scores", "token_type"))
    old = [ModelPiece(*each) for each in zip(names, scores, types, strict=True)]
    found = read_vocabulary(folder)
    assert found.first == len(old)
    lowest = min(piece.score for piece in old if piece.type == _NORMAL)
    return [*old, *(ModelPiece(piece, lowest - 1 - place) for place, piece in enumerate(found.extension.pieces))]


def _writer(path: Path, size: int, model: str, pre: str) -> Any:
    writer = GGUFWriter(str(path), "llama")
    writer.add_context_length(256)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(WIDTH)
    writer.add_block_count(1)
    writer.add_head_count(1)
    writer.add_head_count_kv(1)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(size)
    writer.add_tokenizer_model(model)
    writer.add_tokenizer_pre(pre)
    writer.add_add_bos_token(False)
    return writer


def _finish(writer: Any, size: int, path: Path) -> Path:
    square = np.zeros((WIDTH, WIDTH), np.float32)
    writer.add_tensor("token_embd.weight", np.zeros((size, WIDTH), np.float16))
    for norm in ("output_norm", "blk.0.attn_norm", "blk.0.ffn_norm"):
        writer.add_tensor(f"{norm}.weight", np.ones(WIDTH, np.float32))
    for part in ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"):
        writer.add_tensor(f"blk.0.{part}.weight", square)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def greedy_text(gguf: Path, prompt: str, tokens: int) -> str:
    """What the real llama.cpp answers to one question, rendered by the template that is in the file."""
    import xllamacpp

    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(gguf)
    parameters.n_ctx, parameters.warmup, parameters.port = 512, False, 0
    parameters.cpuparams.n_threads = 1  # its threads spin: two of them on two busy cores take a hundred times as long
    server = xllamacpp.Server(parameters)
    asked = {"messages": [{"role": "user", "content": prompt}], "max_tokens": tokens, "temperature": 0}
    request = urllib.request.Request(
        f"{server.listening_address}/v1/chat/completions",
        json.dumps(asked).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=120) as told:
        return str(json.load(told)["choices"][0]["message"]["content"]).replace("\n", " ")
