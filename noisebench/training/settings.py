"""How a run is trained: what a suite's YAML says under ``training`` and ``backbone``."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from noisebench.config import Settings
from noisebench.data.degrade import Degradations
from noisebench.training.schedule import Schedule


class BackboneSettings(Settings):
    """Which network embeds the faces."""

    name: str = Field(description="A name of `noisebench.backbones.names()`.")
    embedding_size: int = Field(default=512, ge=2)
    checkpointing: bool = Field(
        default=False, description="Keep less for the backward pass and compute it anew: less memory, more time."
    )


class TrainingSettings(Settings):
    """Optimiser, schedule and precision; SGD as everywhere in the field."""

    epochs: int = Field(ge=1)
    batch_size: int = Field(ge=1, description="Over all processes.")
    schedule: Schedule = Schedule()
    momentum: float = Field(default=0.9, ge=0, lt=1)
    nesterov: bool = False
    weight_decay: float = Field(default=5e-4, ge=0)
    weight_decay_norm: float | None = Field(
        default=None, ge=0, description="Of normalisation layers' gains and biases; null for that of all others."
    )
    clip_norm: float | None = Field(default=None, gt=0, description="Largest gradient norm of the backbone.")
    augment: Degradations = Field(default=Degradations(), description="AdaFace's augmentations, before mirroring.")
    flip: bool = Field(default=True, description="Mirror each image with probability one half.")
    precision: Literal["float32", "bfloat16"] = Field(
        default="float32", description="Of the backbone, by autocast; heads always compute in float32."
    )
    sync_batchnorm: bool = Field(
        default=True, description="Batch statistics over all processes, so that their number does not change results."
    )

    accumulate: int = Field(
        default=1, ge=1, description="Parts a batch is cut into, one in memory at a time; their gradients are averaged."
    )
    ema: float | None = Field(
        default=None, gt=0, lt=1, description="Decay of a moving average of the backbone's weights, which is tested."
    )
    compile: bool = Field(default=False, description="Compile the backbone by torch.compile, where that works.")

    @model_validator(mode="after")
    def _milestones_are_reached(self) -> Self:
        late = [milestone for milestone in self.schedule.milestones if milestone >= self.epochs]
        if late:
            raise ValueError(f"schedule.milestones {late} lie past the end of {self.epochs} epochs")
        if self.schedule.warmup_epochs >= self.epochs:
            raise ValueError(
                f"schedule.warmup_epochs {self.schedule.warmup_epochs} leaves nothing of {self.epochs} epochs"
            )
        if self.batch_size % self.accumulate:
            raise ValueError(f"batch_size {self.batch_size} cannot be cut into 'accumulate' {self.accumulate} parts")
        return self
