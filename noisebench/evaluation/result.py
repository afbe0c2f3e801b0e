"""What the evaluation of a test set came to, and all that it depends on: numbers of two sorts never share a column."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from pydantic import Field

from noisebench.config import Settings

Channels = Literal["rgb", "bgr"]


class Preprocessing(Settings):
    """What is done to the pixels of a test set before a backbone sees them."""

    image_size: tuple[int, int] = Field(
        default=(112, 112),
        description="Height and width; of another image its largest central part of that shape, resized bicubically.",
    )
    channels: Channels = Field(default="rgb", description="Order of the colours, as the backbone was trained.")
    gauss_sigma: float | None = Field(
        default=None,
        gt=0,
        le=64,
        description="Standard deviation of a Gaussian blur in pixels of the image the backbone sees; null for none.",
    )
    scaling: Literal["(x / 255 - 0.5) / 0.5"] = Field(
        default="(x / 255 - 0.5) / 0.5", description="From pixels x to the values that the backbone sees."
    )


class Provenance(Settings):
    """How a result was come by."""

    protocol: str = Field(description="Name of the protocol; see noisebench.evaluation.protocols.")
    options: dict[str, Any] = Field(default={}, description="The protocol's options.")
    preprocessing: Preprocessing | None = Field(description="Null where the test set holds features, not images.")
    flip: str = Field(description="How the embedding of the mirror image enters.")
    fusion: str = Field(description="How the embeddings of several images become one.")


class TestMetrics(Settings):
    """The result on one test set; which numbers there are depends on the protocol. Rates are in 0..1."""

    sha256: str = Field(description="SHA-256 of the test set: of its file, or over all files of it that were read.")
    num_pairs: int | None = Field(default=None, description="Pairs verified.")
    accuracy: float | None = Field(default=None, description="Mean over folds.")
    accuracy_std: float | None = Field(default=None, description="Population standard deviation over folds.")
    tar_at_far: dict[str, float] = Field(
        default={}, description='True accept rate by false accept rate, e.g. {"0.001": 0.93}.'
    )
    auc: float | None = Field(default=None, description="Area under the ROC; a tie counts one half.")
    eer: float | None = Field(default=None, description="Equal error rate, on the straight line between ROC points.")
    identification: dict[str, float] = Field(
        default={}, description='Identification rates, e.g. {"rank-1": 0.9, "TPIR@FPIR=0.01": 0.8}.'
    )
    counts: dict[str, int] = Field(default={}, description="What was counted: images, templates, probes, distractors.")
    mean_norm: float | None = Field(default=None, description="Mean norm of the raw embeddings over all views.")
    provenance: Provenance | None = Field(default=None, description="How it was come by; null in older records.")


def headline(metrics: TestMetrics) -> str:
    """The accuracy of a result, or what else its protocol puts first."""
    return f"{100 * metrics.accuracy:.2f} %" if metrics.accuracy is not None else next(lines(metrics), "no result")


def lines(metrics: TestMetrics) -> Iterator[str]:
    """A result as short lines to read, each a number with its name."""
    if metrics.accuracy is not None and metrics.accuracy_std is not None:
        yield f"accuracy {100 * metrics.accuracy:.2f} ± {100 * metrics.accuracy_std:.2f} % on {metrics.num_pairs} pairs"
    elif metrics.num_pairs is not None:
        yield f"{metrics.num_pairs} pairs"
    yield from (f"TAR@FAR={rate} {100 * value:.2f} %" for rate, value in metrics.tar_at_far.items())
    yield from (f"{name} {100 * value:.2f} %" for name, value in metrics.identification.items())
    if metrics.auc is not None and metrics.eer is not None:
        yield f"AUC {100 * metrics.auc:.3f} %"
        yield f"EER {100 * metrics.eer:.2f} %"
    if metrics.mean_norm is not None:
        yield f"mean norm {metrics.mean_norm:.2f}"
