"""Whether a base on disk can be trained as a recipe asks, told from its files before any weight is loaded."""

from __future__ import annotations

from studio.errors import StudioError
from studio.models.files import ModelFiles, read_config
from studio.models.template import ChatTemplate
from studio.recipes import Recipe


def check_fitness(files: ModelFiles, recipe: Recipe) -> None:
    """Refuse at the start what would fail when the weights are loaded, or hours later in the last stage.

    Raises:
        StudioError: ``training.base_quantised`` for weights that were quantised before (GPTQ, AWQ, FP8, …): a merge
            could not write them; ``template.missing`` or ``template.no_mask`` if the recipe has an ``instruct`` stage
            and the base no chat template whose answers can be told apart.
    """
    config = read_config(files.folder)
    marks = config.get("quantization_config") or (config.get("text_config") or {}).get("quantization_config")
    if marks:
        method = str(marks.get("quant_method", "?")) if isinstance(marks, dict) else "?"
        raise StudioError("training.base_quantised", base=files.reference, method=method)
    if any(stage.kind == "instruct" for stage in recipe.stages):
        ChatTemplate.of_folder(files.folder)
