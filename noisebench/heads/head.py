"""The outer interface of every head: what the trainer calls, whatever the method."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from pydantic import ConfigDict, ValidationError
from torch import Tensor, nn

from noisebench.config import Settings, explain
from noisebench.errors import UserError
from noisebench.heads.centres import draw_centres


@dataclass(frozen=True)
class Rows:
    """Statistics of each sample of a batch, for the log: detached tensors [B].

    Attributes:
        cosine_label: Cosine to the centre of the label given.
        cosine_true: Cosine to the centre of the true label; NaN where there is none.
        cosine_nearest: Cosine to the nearest centre of another class than the label given.
        nearest: That class, int64.
        norm: Length of the raw embedding.
        used_label: Label the loss used, int64: the one given unless the method changed it.
    """

    cosine_label: Tensor
    cosine_true: Tensor
    cosine_nearest: Tensor
    nearest: Tensor
    norm: Tensor
    used_label: Tensor


@dataclass(frozen=True)
class HeadOutput:
    """What a head makes of a batch.

    Attributes:
        loss: Mean over the batch's rows, a scalar to call ``backward`` on.
        rows: Statistics of each row.
        sub_centre: Which sub-centre of the label given each row is nearest to, so whose cosine ``rows.cosine_label``
            is: int64 [B]; None where a class has but one centre.
    """

    loss: Tensor
    rows: Rows
    sub_centre: Tensor | None = None


class Head(nn.Module):
    """Class centres and a loss on them. A method is a subclass; ``noisebench.methods.create`` builds it by name.

    ``head(embeddings, labels, true_labels)`` takes float [B, D], int64 [B] and int64 [B] (or None) and returns a
    `HeadOutput`. True labels are only logged, never used by the loss; a negative one means that none is known.

    Args:
        num_classes: Number of identities C, at least 2.
        embedding_size: Length D of an embedding.
        seed: Of the initial centres.
        options: Those of the method's ``Options``.

    Attributes:
        centres: Class centres [C, D] or, with K sub-centres a class, [C, K, D]; float32, not normalised. Where classes
            are split over processes, those of this one's.
        mode_used: Whether the last step stored the matrix of cosines ("dense") or not ("chunked"), whatever mode the
            options name; None before the first step, and for a head without a choice.

    Raises:
        UserError: An option is unknown or outside its range.
    """

    class Options(Settings):
        """Options of a method, each with its default. Frozen; an unknown or non-finite one is an error."""

        model_config = ConfigDict(allow_inf_nan=False)

    options: Options
    mode_used: Literal["dense", "chunked"] | None = None

    def __init__(self, *, num_classes: int, embedding_size: int, seed: int = 0, **options: Any) -> None:
        super().__init__()
        if num_classes < 2:
            raise UserError(f"num_classes is {num_classes}: a head needs at least 2 classes to tell apart")
        if embedding_size < 1:
            raise UserError(f"embedding_size is {embedding_size}: expected at least 1")
        self.num_classes, self.embedding_size = num_classes, embedding_size
        self.options = self._parse(options)
        self.centres = nn.Parameter(draw_centres(num_classes, embedding_size, seed))

    def check_training(self, *, accumulate: int, num_processes: int) -> None:
        """Refuse a training that this head cannot take part in: asked when it is planned, and when it begins.

        Args:
            accumulate: Parts that a batch comes in, between two steps of the optimiser.
            num_processes: How many processes train together.

        Raises:
            UserError: An option and one of these contradict each other.
        """

    def begin_epoch(self, epoch: int, num_epochs: int) -> None:
        """Be told, before its first batch, that epoch ``epoch`` (from 0) of ``num_epochs`` begins."""

    def attach(self, optimizer: torch.optim.Optimizer) -> None:
        """Be told of the optimiser that steps the parameters, before its first step."""

    def monitored(self) -> dict[str, Tensor]:
        """Numbers that the method follows, worth a curve over the steps, by name: detached scalar tensors.

        They are finite, alike in all processes and on the head's device, so that to ask for them waits for nothing.
        """
        return {}

    def replicated_parameters(self) -> Iterator[nn.Parameter]:
        """The parameters every process has alike, whose gradients are to be averaged over the processes."""
        return self.parameters()

    def gather_rows(self, rows: Tensor) -> Tensor:
        """A tensor shaped like ``centres``, such as their momentum, for the classes of all processes.

        All processes must call it.
        """
        return rows

    def own_rows(self, rows: Tensor) -> Tensor:
        """The part of such a tensor of all classes that is this process's."""
        return rows

    def class_centres(self) -> Tensor:
        """One centre for each class of all processes, [C, D], without gradient. All processes must call it."""
        return self.centres.detach()

    def all_centres(self) -> Tensor:
        """The centres of all processes' classes, [C, D] or [C, K, D], without gradient. All processes must call it.

        Of K sub-centres the dominant one comes first, then the one nearest to the second most samples, and so on.
        """
        return self.class_centres()

    @classmethod
    def resolve(cls, options: Mapping[str, Any]) -> dict[str, Any]:
        """All options as plain values, defaults filled in: what a run's configuration records.

        Raises:
            UserError: An option is unknown (the nearest is named) or outside its range.
        """
        return cls._parse(options).model_dump(mode="json")

    @classmethod
    def _parse(cls, options: Mapping[str, Any]) -> Options:
        try:
            return cls.Options.model_validate(dict(options))
        except ValidationError as error:
            raise UserError(f"options of method {cls.__name__}: {explain(error, cls.Options)}") from error

    def check_batch(self, embeddings: Tensor, labels: Tensor, true_labels: Tensor | None) -> None:
        """Refuse a batch of the wrong shape or type, or with labels outside the classes.

        The range of labels is checked on the CPU only, for looking at a GPU's values would halt it at every step;
        there a label without a centre makes the loss NaN, as embeddings that are not finite do everywhere.

        Raises:
            UserError: The first fault found.
        """
        num_classes, embedding_size = self.num_classes, self.embedding_size
        if embeddings.dim() != 2 or embeddings.shape[1] != embedding_size or len(embeddings) == 0:
            raise UserError(f"embeddings have shape {list(embeddings.shape)}: expected [batch, {embedding_size}]")
        for name, values in (("labels", labels), ("true_labels", true_labels)):
            if values is None:
                continue
            if values.shape != embeddings.shape[:1] or values.dtype != torch.int64:
                found = f"{values.dtype} of shape {list(values.shape)}".removeprefix("torch.")
                raise UserError(f"{name} are {found}: expected int64 of shape [{len(embeddings)}]")
        if labels.device.type == "cpu" and not 0 <= int(labels.min()) <= int(labels.max()) < num_classes:
            row = int(((labels < 0) | (labels >= num_classes)).nonzero()[0])
            raise UserError(f"label {int(labels[row])} of row {row} is outside the classes 0..{num_classes - 1}")
