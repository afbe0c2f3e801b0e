"""Learning rate by step: linear warm-up, then polynomial decay to zero or steps at given epochs."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from noisebench.config import Settings


class Schedule(Settings):
    """A learning-rate schedule.

    ``poly`` falls from ``learning_rate`` to 0 as (1 - progress) ** power, progress counted after the warm-up, as in
    the PolynomialLR that insightface's arcface_torch uses (power 1 there is linear). ``step`` multiplies by
    ``factor`` at the start of each epoch in ``milestones``, counted from 0.
    """

    kind: Literal["poly", "step"] = "poly"
    learning_rate: float = Field(default=0.1, gt=0)
    warmup_epochs: float = Field(default=0.0, ge=0)
    power: float = Field(default=2.0, gt=0, description="Of poly.")
    milestones: tuple[int, ...] = Field(default=(), description="Of step: epochs counted from 0, rising.")
    factor: float = Field(default=0.1, gt=0, lt=1, description="Of step.")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.kind == "step" and not self.milestones:
            raise ValueError("a step schedule needs 'milestones', e.g. [10, 18, 22]")
        if self.kind == "poly" and self.milestones:
            raise ValueError("'milestones' belong to a step schedule; this one is poly")
        if list(self.milestones) != sorted(set(self.milestones)):
            raise ValueError(f"'milestones' must rise, found {list(self.milestones)}")
        return self

    def at(self, step: int, *, steps_per_epoch: int, epochs: int) -> float:
        """Learning rate of a step, counted from 0 over the whole training."""
        warmup = self.warmup_epochs * steps_per_epoch
        if step < warmup:
            return self.learning_rate * (step + 1) / (warmup + 1)
        if self.kind == "poly":
            progress = (step - warmup) / (epochs * steps_per_epoch - warmup)
            return float(self.learning_rate * (1.0 - progress) ** self.power)
        passed = sum(step >= milestone * steps_per_epoch for milestone in self.milestones)
        return float(self.learning_rate * self.factor**passed)
