"""Smaller weights by gguf's own quantiser: one GGUF file in, another out, some rows of one tensor at a time."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from studio.errors import StudioError
from studio.jobs.events import Progress, Stopping

if TYPE_CHECKING:
    import numpy as np
    from gguf import GGMLQuantizationType, GGUFReader, ReaderField, ReaderTensor

_BLOCK = 1 << 22  # values in fp32 at a time: 16 MB
_HEAD, _TABLE = "output.weight", "token_embd.weight"


def quantise(source: Path, out: Path, kind: str, *, progress: Progress, stopping: Stopping) -> None:
    """Write the 16-bit GGUF file `source` as `kind` to `out`.

    What the converter left in fp32 stays so: norms, biases, routers. Matrices become `kind`, but the head, which in a
    tied model is the embedding, Q8_0: llama.cpp keeps it at Q6_K, which this quantiser cannot write, and Q8_0 is the
    next better. Rows that are no multiple of 32 long stay in 16 bits, as llama.cpp leaves them.

    Args:
        source: By the converter, in f16 or bf16.
        out: New file.
        kind: ``q4_0``, ``q4_1``, ``q5_0`` or ``q5_1``.
        progress: Told the share of weights written.
        stopping: Asked between blocks.

    Raises:
        StudioError: ``job.stopped``.
    """
    from gguf import GGMLQuantizationType, GGUFReader, GGUFWriter, LlamaFileType
    from gguf.constants import GGML_QUANT_VERSION

    reader = GGUFReader(source)
    names = {tensor.name for tensor in reader.tensors}
    wanted = GGMLQuantizationType[kind.upper()]
    types = {tensor.name: _type(tensor, wanted, names) for tensor in reader.tensors}
    writer = GGUFWriter(out, _text(reader, "general.architecture"))
    for field in reader.fields.values():
        _copy(field, writer)
    writer.add_file_type(LlamaFileType[f"MOSTLY_{kind.upper()}"])
    writer.add_quantization_version(GGML_QUANT_VERSION)
    try:
        _write(reader, writer, types, progress, stopping)
    finally:
        writer.close()


def _write(
    reader: GGUFReader,
    writer: Any,
    types: dict[str, GGMLQuantizationType],
    progress: Progress,
    stopping: Stopping,
) -> None:
    import numpy as np

    for tensor in reader.tensors:
        shape = tuple(int(length) for length in reversed(tensor.shape))
        kind = types[tensor.name]
        writer.add_tensor_info(tensor.name, shape, np.dtype(np.float32), _bytes(shape, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    (file,) = writer.fout
    total = sum(int(tensor.n_elements) for tensor in reader.tensors)
    done = 0
    for tensor in reader.tensors:
        writer.write_padding(file, file.tell())
        written = 0
        for block in _blocks(tensor, types[tensor.name]):
            if stopping():
                raise StudioError("job.stopped")
            written += file.write(block)
            progress(done / total, "progress.gguf.quantise")
        writer.write_padding(file, written)
        done += int(tensor.n_elements)


def _type(tensor: ReaderTensor, wanted: GGMLQuantizationType, names: set[str]) -> GGMLQuantizationType:
    from gguf import GGML_QUANT_SIZES, GGMLQuantizationType

    stored = tensor.tensor_type
    if stored not in (GGMLQuantizationType.F16, GGMLQuantizationType.BF16):
        return stored
    head = _HEAD if _HEAD in names else _TABLE
    kind = GGMLQuantizationType.Q8_0 if tensor.name == head else wanted
    return stored if int(tensor.shape[0]) % GGML_QUANT_SIZES[kind][0] else kind


def _bytes(shape: tuple[int, ...], kind: GGMLQuantizationType) -> int:
    from gguf import GGML_QUANT_SIZES

    values, size = GGML_QUANT_SIZES[kind]
    return int(math.prod(shape) // values * size)


def _blocks(tensor: ReaderTensor, kind: GGMLQuantizationType) -> Iterator[np.ndarray[Any, Any]]:
    from gguf import quants

    rows = tensor.data.reshape(-1, tensor.data.shape[-1])
    if kind == tensor.tensor_type:
        step = max(1, (_BLOCK * 4) // rows[0].nbytes)
        for start in range(0, len(rows), step):
            yield rows[start : start + step]
        return
    step = max(1, _BLOCK // int(tensor.shape[0]))
    for start in range(0, len(rows), step):
        values = quants.dequantize(rows[start : start + step], tensor.tensor_type)
        yield quants.quantize(values, kind)


def _copy(field: ReaderField, writer: Any) -> None:
    from gguf import GGUFValueType

    ours = ("general.architecture", "general.file_type", "general.quantization_version")
    if field.name in ours or field.name.startswith("GGUF."):
        return
    kind = field.types[0]
    inner = field.types[-1] if kind == GGUFValueType.ARRAY else None
    writer.add_key_value(field.name, field.contents(), kind, sub_type=inner)


def _text(reader: GGUFReader, key: str) -> str:
    field = reader.get_field(key)
    assert field is not None, key
    return str(field.contents())
