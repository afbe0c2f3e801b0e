"""A head that can hold its class centres in many ways: several a class, split over processes, or sampled each step."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from noisebench.errors import UserError
from noisebench.heads.centres import draw_centres
from noisebench.heads.classes import Classes
from noisebench.heads.collective import gather, world
from noisebench.heads.cosines import Cosines
from noisebench.heads.head import Head
from noisebench.heads.sampled_step import step_sampled_rows_alone
from noisebench.noise.counter import derive_seed

MOST_MATRIX_BYTES = 1 << 28
MOST_KEPT_BYTES = 6 << 20
CLASSES_PER_BLOCK_CPU = 1024  # at a batch of 256 a block is 1 MB: it stays in the cache from one operation to the next
STORED_BLOCK_GPU = 1 << 28  # in cosines; there a kernel's start costs more than the traffic it saves
PASSING_BLOCK_GPU = 1 << 24


class ClassHead(Head):
    """Centres and the cosines to them, however they are held; what a loss makes of these is up to the subclass."""

    class Options(Head.Options):
        """How the cosines are computed; of these, only the last four change what is computed."""

        mode: Literal["auto", "dense", "chunked", "sharded"] = Field(
            default="auto",
            description="dense stores the cosine matrix; chunked keeps at most half of it and 6 MB, at the price of a "
            "fourth product (a fifth for some methods) for the rest; auto stores it up to 256 MB; sharded splits the "
            "classes over the processes, each of which does as auto does.",
        )
        chunk_size: int | None = Field(
            default=None,
            ge=1,
            description="Classes a block; null: 1024 on a CPU, on a GPU as many as make 64 MB (1 GB stored).",
        )
        products: Literal["float32", "bfloat16"] = Field(
            default="float32", description="Precision of the products' factors; all else is float32 in any case."
        )
        sub_centres: int = Field(default=1, ge=1, description="K, centres a class; the nearest of them counts.")
        sample_rate: float = Field(
            default=1.0,
            gt=0,
            le=1,
            description="Partial FC: fraction of the classes a training step uses, those of its labels among them, "
            "and at least as many as the batch has samples.",
        )
        unsampled: Literal["untouched", "drift"] = Field(
            default="untouched",
            description="Centres a step does not use: left as they are, or moved by momentum and weight decay all "
            "the same, as in arcface_torch's PartialFC_V2.",
        )

        @model_validator(mode="after")
        def _agree(self) -> Self:
            if self.mode == "dense" and self.chunk_size is not None:
                raise ValueError(f"chunk_size is {self.chunk_size}, but mode 'dense' has no chunks: choose 'chunked'")
            if self.sample_rate == 1 and self.unsampled == "drift":
                raise ValueError("unsampled is 'drift', but sample_rate 1.0 leaves no class unsampled")
            return self

    options: Options
    sub_centre_counts: Tensor

    def __init__(self, *, num_classes: int, embedding_size: int, seed: int = 0, **options: Any) -> None:
        super().__init__(num_classes=num_classes, embedding_size=embedding_size, seed=seed, **options)
        chunk_size, sub_centres = self.options.chunk_size, self.options.sub_centres
        if chunk_size is not None and chunk_size > num_classes:
            raise UserError(f"chunk_size is {chunk_size}, larger than the {num_classes} classes")
        self.classes = Classes(num_classes, *(world() if self.options.mode == "sharded" else (0, 1)))
        self._check_shards(self.classes.world_size)
        if sub_centres > 1:
            drawn = draw_centres(num_classes * sub_centres, embedding_size, seed)
            self.centres = nn.Parameter(drawn.view(num_classes, sub_centres, embedding_size))
            self.register_buffer("sub_centre_counts", torch.zeros(num_classes, sub_centres, dtype=torch.int64))
        if self.classes.world_size > 1:
            self.centres = nn.Parameter(self.classes.own_rows(self.centres.data).clone())
        self.sample: Tensor | None = None  # rows of the centres that the last step used
        self._seed, self._epoch, self._step = seed, 0, 0

    def check_training(self, *, accumulate: int, num_processes: int) -> None:
        """See `Head`: the optimiser leaves alone what the last call did not sample, and every shard has a class."""
        options = self.options
        if accumulate > 1 and options.sample_rate < 1 and options.unsampled == "untouched":
            raise UserError(
                f"training.accumulate is {accumulate} and sample_rate is {options.sample_rate}: a head that samples "
                "its classes takes a batch at once. Leave one of them out, or choose unsampled 'drift'"
            )
        if options.mode == "sharded":
            self._check_shards(num_processes)

    def _check_shards(self, count: int) -> None:
        if count > self.num_classes:
            raise UserError(f"mode is 'sharded', but {self.num_classes} classes do not go round {count} processes")

    def begin_epoch(self, epoch: int, num_epochs: int) -> None:
        """Draw the epoch's classes from a seed of its own, and count its samples by sub-centre from 0."""
        self._epoch, self._step = epoch, 0
        if self.options.sub_centres > 1:
            self.sub_centre_counts.zero_()

    def attach(self, optimizer: torch.optim.Optimizer) -> None:
        """See `Head`: lets a step leave centres that were not sampled as they are."""
        if self.options.sample_rate < 1 and self.options.unsampled == "untouched":
            step_sampled_rows_alone(optimizer, self.centres, lambda: self.sample)

    def cosines(self, units: Tensor, labels: Tensor) -> Cosines:
        """The cosines of unit embeddings [B, D], without gradient, to the centres that take part in this step."""
        classes, options = self.classes, self.options
        if self.training and options.sample_rate < 1:
            known = labels if classes.world_size > 1 else gather(labels)  # replicas must use the same classes
            classes = classes.sampled(known, options.sample_rate, self._next_generator())
        self.sample = classes.sample
        stored = self.stores_matrix(len(units), classes)
        self.mode_used = "dense" if stored else "chunked"
        return Cosines(
            units,
            self.centres.detach(),
            classes,
            classes_per_block=options.chunk_size or self._default_block(len(units), stored),
            stored=stored,
            dtype=torch.bfloat16 if options.products == "bfloat16" else units.dtype,
            most_kept=MOST_KEPT_BYTES,
        )

    def stores_matrix(self, batch_size: int, classes: Classes) -> bool:
        """Whether the cosines of a batch to these classes are stored: as the mode says, or where there is room."""
        if self.options.mode in ("dense", "chunked"):
            return self.options.mode == "dense"
        return batch_size * classes.num_used * self.centres.element_size() <= MOST_MATRIX_BYTES

    def count_sub_centres(self, labels: Tensor, winners: Tensor) -> None:
        """Count which sub-centre of its class, int64 [B], each sample is nearest to."""
        if self.classes.world_size == 1:
            labels, winners = gather(labels), gather(winners)
        self.sub_centre_counts.index_put_((labels, winners), torch.ones_like(labels), accumulate=True)

    def get_extra_state(self) -> Tensor:
        """The steps of the epoch so far, which name the next sample of classes; torch puts it into the state dict."""
        return torch.tensor(self._step)

    def set_extra_state(self, state: Tensor) -> None:
        """Go on from there."""
        self._step = int(state)

    def _next_generator(self) -> torch.Generator:
        seed = derive_seed(self._seed, "classes", str(self._epoch), str(self._step), str(self.classes.rank))
        self._step += 1
        return torch.Generator(self.centres.device).manual_seed(seed)

    def _default_block(self, batch_size: int, stored: bool) -> int:
        if self.centres.device.type == "cpu":
            return max(1, CLASSES_PER_BLOCK_CPU // self.options.sub_centres)
        return max(1, (STORED_BLOCK_GPU if stored else PASSING_BLOCK_GPU) // (batch_size * self.options.sub_centres))

    def replicated_parameters(self) -> Iterator[nn.Parameter]:
        """See `Head`: all but the centres of a shard."""
        return (weight for weight in self.parameters() if weight is not self.centres or self.classes.world_size == 1)

    def gather_rows(self, rows: Tensor) -> Tensor:
        """See `Head`."""
        return self.classes.gather_rows(rows)

    def own_rows(self, rows: Tensor) -> Tensor:
        """See `Head`."""
        return self.classes.own_rows(rows)

    def class_centres(self) -> Tensor:
        """See `Head`: of several sub-centres the dominant one."""
        centres = self.gather_rows(self.centres.detach())
        if self.options.sub_centres == 1:
            return centres
        return centres[torch.arange(len(centres)), self.dominant_sub_centres().to(centres.device)]

    def all_centres(self) -> Tensor:
        """See `Head`."""
        centres = self.gather_rows(self.centres.detach())
        if self.options.sub_centres == 1:
            return centres
        order = self.sub_centre_counts.argsort(dim=1, descending=True, stable=True).to(centres.device)
        return centres.take_along_dim(order[:, :, None], dim=1)

    def dominant_sub_centres(self) -> Tensor:
        """The sub-centre of each class that was the nearest to most samples labelled so this epoch, int64 [C]."""
        return self.sub_centre_counts.argmax(dim=1)
