"""trl's trainer on rows made beforehand: no padding, loss on labelled tokens only, checkpoints that are whole."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import torch
from datasets import Dataset
from torch.nn import functional
from torch.utils.data import DataLoader
from transformers import PrinterCallback, ProgressCallback
from trl import SFTConfig, SFTTrainer

from studio.errors import StudioError
from studio.recipes import Stage
from studio.training.adapter import load_adapter, save_adapter
from studio.training.attention import document_attention
from studio.training.base import softcap
from studio.training.checkpoints import checkpoint_folder, save_counts, step_of, write_whole
from studio.training.dry_run import try_longest
from studio.training.loss import labelled_loss
from studio.training.plan import Plan
from studio.training.ranks import ALONE, Ranks
from studio.training.reporter import Reporter
from studio.training.words import Words

CLIP = 1.0
GRID = 32
EPSILON = 1e-8
ROWS_EPSILON = 1e-4
"""Adam's epsilon for new rows. Adam divides by the size of past gradients, and every softmax gives every row a tiny
one, «not me», of which 1e-8 makes whole steps: rows that no text says drift away. Gradients of rows that are said are
about 3e-3 after clipping. On SmolLM2 +4,000 the loss after 135 steps was 5.54 with 1e-4, 5.64 with 1e-8, and 5.74 when
rows not said stood still: as the layers change, they must be pushed down a little."""
SCALE = 2.0**16  # of the loss in fp16 at first: halved by each step that overflows, doubled after 2,000 that do not
_SCHEDULES = {"cosine": "cosine", "linear": "linear", "constant": "constant_with_warmup"}


def lay_end_to_end(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """One flat batch of `rows`: ids, labels and positions of shape ``(1, tokens)``, and each document's length."""
    lengths = [len(row["input_ids"]) for row in rows]
    return {
        "input_ids": torch.tensor([[token for row in rows for token in row["input_ids"]]]),
        "labels": torch.tensor([[label for row in rows for label in row["labels"]]]),
        "position_ids": torch.cat([torch.arange(length) for length in lengths])[None],
        "document_lengths": lengths,
        "characters": sum(row["characters"] for row in rows),
    }


def fill_up(
    ids: torch.Tensor, positions: torch.Tensor, lengths: list[int]
) -> tuple[torch.Tensor, torch.Tensor, list[int]]:
    """A flat batch whose last document goes on, unlabelled, to a multiple of `GRID` tokens: no other sees it.

    On a processor every length has its own compiled products: 40 steps of the starter left 370 MB of them without this
    and `on_grid`, 125 MB with them.
    """
    more = -ids.shape[1] % GRID
    return functional.pad(ids, (0, more)), functional.pad(positions, (0, more)), [*lengths[:-1], lengths[-1] + more]


def arguments(stage: Stage, plan: Plan, folder: Path, seed: int, *, cuda: bool) -> SFTConfig:
    """What trl needs to know of `stage`; all it would do by itself (padding, casting, saving, logging) is off."""
    return SFTConfig(
        output_dir=str(folder),
        per_device_train_batch_size=stage.batch,
        gradient_accumulation_steps=plan.accumulation,
        max_steps=plan.steps,
        learning_rate=stage.rates.lora,
        lr_scheduler_type=_SCHEDULES[stage.schedule],
        warmup_steps=round(stage.warmup * plan.steps if stage.warmup < 1 else stage.warmup),
        weight_decay=stage.weight_decay,
        max_grad_norm=CLIP,
        optim="adamw_torch_fused",
        seed=seed,
        max_length=None,
        dataset_kwargs={"skip_prepare_dataset": True},
        activation_checkpointing=False,  # activations of one batch fit; computing them again costs a third
        bf16=False,  # the base is in bf16 already and the adapter casts by itself: autocast would cast at every layer
        fp16=False,
        use_cpu=not cuda,
        logging_strategy="steps",
        logging_steps=1,
        logging_nan_inf_filter=False,  # a loss that is no number must be seen, not averaged away
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_pin_memory=False,
    )


class StageTrainer(SFTTrainer):  # type: ignore[misc]  # trl is untyped
    """Trains the adapter of `model` through one stage.

    Args:
        model: A `PeftModel` with a frozen base.
        tokenizer: Kept for trl, which asks for it; rows come ready.
        rows: Columns ``input_ids``, ``labels``, ``characters``.
        plan: Which rows make up each batch.
        args: From `arguments`.
        reporter: Hears of every step.
        folder: Of the stage; checkpoints go below it.
        stage: Its rates and optimizer.
        words: The vocabulary's rows that can learn, and where they belong; None without any.
        ranks: The processes that share the steps; `plan` is the part of this one.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        rows: Dataset,
        plan: Plan,
        args: SFTConfig,
        reporter: Reporter,
        folder: Path,
        stage: Stage,
        words: Words | None,
        ranks: Ranks = ALONE,
    ) -> None:
        super().__init__(
            model=model,
            args=args,
            train_dataset=rows,
            processing_class=tokenizer,
            data_collator=lay_end_to_end,
            callbacks=[reporter],
        )
        for parameter in model.parameters():
            if parameter.requires_grad:  # over a base in four bits trl casts them to bf16, which loses most updates
                parameter.data = parameter.data.float()
        self.remove_callback(PrinterCallback)
        self.remove_callback(ProgressCallback)
        self.loss_is_scaled_for_ga = True  # the loss is divided by the labelled tokens of the whole step
        self._plan, self._reporter, self._folder = plan, reporter, folder
        self._stage, self._words, self._ranks = stage, words, ranks
        causal = model.get_base_model()
        self._body, self._head = causal.get_decoder(), causal.get_output_embeddings().weight
        self._softcap = softcap(causal)
        if self._head.dtype == torch.float16:  # gradients below 6e-8 are zero in fp16: larger ones are carried back
            self.accelerator.scaler = torch.amp.GradScaler(self.args.device.type, init_scale=SCALE)

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Batches in the order of the plan."""
        return DataLoader(self.train_dataset, batch_sampler=self._plan.batches, collate_fn=self.data_collator)

    def train_stage(self, checkpoint: Path | None) -> None:
        """Run the stage to its end or to Stop, from `checkpoint` if one is given.

        Raises:
            StudioError: See `try_longest`; ``training.not_finite``.
        """
        begin = 0 if checkpoint is None else step_of(checkpoint) * self._plan.accumulation
        tokens = pc.list_value_length(self.train_dataset.data.column("input_ids")).to_pylist()
        learning = [weight for group in self._learning() for weight in group]
        try_longest(self._stage, self._plan.batches[begin:], tokens, learning, self._trial, self._folder, self._ranks)
        self.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))

    def _trial(self, batch: Sequence[int]) -> torch.Tensor:
        self.model.train()
        inputs = self._prepare_inputs(lay_end_to_end([self.train_dataset[row] for row in batch]))
        return self._loss(inputs, inputs["labels"].ne(-100).sum(), 1.0)

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> torch.Tensor:
        """Loss of one flat batch, divided by the labelled tokens of the optimizer step."""
        scaler = self.accelerator.scaler
        return self._loss(inputs, num_items_in_batch, 1.0 if scaler is None else scaler.get_scale())

    def _loss(self, inputs: dict[str, Any], items: Any, scale: float) -> torch.Tensor:
        ids, positions, lengths = inputs["input_ids"], inputs["position_ids"], inputs["document_lengths"]
        if ids.device.type == "cpu":
            ids, positions, lengths = fill_up(ids, positions, lengths)
        with document_attention(self._body.config):  # not round the whole training: sample answers need their masks
            hidden = self._body(
                input_ids=ids, position_ids=positions, use_cache=False, document_lengths=lengths
            ).last_hidden_state
        words = self._words
        rows, first = (None, 0) if words is None else (words.trained.head, words.trained.first)
        return labelled_loss(
            hidden[0], self._head, inputs["labels"][0], items, self._softcap, rows, first, expected=scale
        )

    def _learning(self) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """What learns in this stage: the adapter's matrices, and the vocabulary's rows."""
        lora = [weight for name, weight in self.model.named_parameters() if weight.requires_grad and "lora_" in name]
        rows = [] if self._words is None else list(self._words.trained.parameters())
        return lora, [table for table in rows if table.requires_grad]

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        """AdamW over the adapter at its rate and the vocabulary's rows at theirs; rows never decay."""
        lora, rows = self._groups = self._learning()
        groups = [{"params": lora, "lr": self._stage.rates.lora, "weight_decay": self._stage.weight_decay}]
        epsilon = ROWS_EPSILON if self._stage.rows == "new" else EPSILON  # whole tables learn as in the papers
        groups.append({"params": rows, "lr": self._stage.rates.rows, "weight_decay": 0.0, "eps": epsilon})
        self.optimizer = make_optimizer(self._stage, [group for group in groups if group["params"]], self.args.device)
        return self.optimizer

    def _clip_grad_norm(self, model: Any) -> float | None:
        """Clip the adapter and the rows each by themselves: one spike of new rows would shrink the adapter's step."""
        lora, rows = self._groups
        self._ranks.sum_gradients([*lora, *rows])
        if self._words is not None:
            self._words.trained.hold_old()
        scaler = self.accelerator.scaler
        if scaler is not None:
            scaler.unscale_(self.optimizer.optimizer)  # accelerate's wrapper hides the one that will be stepped
        norms = [float(torch.nn.utils.clip_grad_norm_(group, CLIP)) if group else None for group in (lora, rows)]
        self._reporter.rows_norm = norms[1]
        self._reporter.skipped = scaler is not None and not all(norm is None or isfinite(norm) for norm in norms)
        if self._reporter.skipped and scaler.get_scale() <= 1:  # nothing is left to scale down: they are no numbers
            raise StudioError("training.not_finite", step=self.state.global_step + 1)
        return norms[0] if norms[0] is not None else norms[1]

    def _get_num_items_in_batch(self, batch_samples: list[dict[str, Any]], device: torch.device) -> torch.Tensor:
        """Labelled tokens of the whole step, of every process; its text is counted on the way."""
        labelled, tokens, characters = self._ranks.total(
            sum(int(batch["labels"].ne(-100).sum()) for batch in batch_samples),
            sum(batch["input_ids"].shape[1] for batch in batch_samples),
            sum(batch["characters"] for batch in batch_samples),
        )
        self._reporter.count(int(tokens), int(characters))
        return torch.tensor(labelled)

    def floating_point_ops(self, inputs: dict[str, Any]) -> int:
        """Not counted."""
        return 0

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Hand `logs` to the reporter; a history of every step would make each checkpoint's state grow."""
        if "loss" in logs:
            logs["loss"] = self._ranks.total(logs["loss"])[0]
        self.control: Any = self.callback_handler.on_log(self.args, self.state, self.control, logs)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        if not self._ranks.first:
            return

        def fill(folder: Path) -> None:
            save_adapter(self.model, folder)
            if self._words is not None:
                self._words.save(folder)
            self._save_optimizer_and_scheduler(str(folder))
            self._save_rng_state(str(folder))
            self._save_scaler(str(folder))
            self.state.save_to_json(str(folder / "trainer_state.json"))
            save_counts(self._reporter.counts, folder)

        write_whole(checkpoint_folder(self._folder, self.state.global_step), fill)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        load_adapter(self.model, Path(resume_from_checkpoint))
        if self._words is not None:
            self._words.load(Path(resume_from_checkpoint))


def make_optimizer(stage: Stage, groups: list[dict[str, Any]], device: torch.device) -> torch.optim.Optimizer:
    """The optimizer of `stage` over parameter groups that carry their rates.

    The eight-bit ones of bitsandbytes need CUDA; on a processor fp32 AdamW does their work, and exactly resumable.
    """
    if stage.optimizer == "adamw" or device.type != "cuda":
        return torch.optim.AdamW(groups, fused=True)
    from bitsandbytes.optim import AdamW8bit, PagedAdamW8bit

    kind = PagedAdamW8bit if stage.optimizer == "paged_adamw_8bit" else AdamW8bit
    optimizer: torch.optim.Optimizer = kind(groups)
    return optimizer
