"""Noise-Tolerant Paradigm: samples weighted by how likely the distribution of cosines says they are clean.

Paper: Hu et al., "Noise-Tolerant Paradigm for Training Face Recognition CNNs", CVPR 2019, arXiv 1903.10357.

Formula, with c the plain cosine of a sample to its label, in bin b of 201 from -1 to 1. A histogram of c over the last
1000 batches, smoothed by a mean over 5 bins, has four markers:

    l, r    where its distribution function reaches 0.005 and leaves 0.995
    lt, rt  its left and right top: the highest bin, and the outermost local maximum on its other side, or the middle
            of l and r where that is further out; noise gathers at lt, clean samples at rt

A marker moves by a bin a batch at most. Then, with α the cosine at r within [0, 1] for the progress of training:

    β = 2 - 1 / (1 + e^(5 - 20α)) - 1 / (1 + e^(20α - 15))
    w = β · [α < 0.5] + (1 - β) · w2 + β · [α > 0.5] · w3
    w2 = softplus(10 · (b - lt) / (r - lt)) / softplus(10), at most 1: easy samples, when half is learned
    w3 = exp(-(b - rt)² / 2σ²), σ the distance of rt to r, or to l on that side, over 2.576: semi-hard ones, at the end

and the loss is the mean of w · `arcface`'s. Until the histogram is full w = 1. A batch for which l >= r has w = 0.
Histogram and markers are buffers, fed by the global batch, the same in all processes, saved and resumed;
``noise_ratio`` is the estimate of the noise that they make, 2 · distribution function at lt.

Defaults: 1000 batches (code, of 64 samples), s = 64, m = 0.5, for this suite keeps both the same for all methods; the
code has s = 32. A run of fewer batches than the histogram holds is plain ArcFace: lower ``window`` for it.

Paper and code: the method is the code's, from which the formula was read. Its histogram is each process's own.

Variants: ``applied_to="logits"`` multiplies all logits of a sample by w instead, as the code's shipped setting does.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from noisebench.heads.rows import MethodRows
from noisebench.methods.arcface import ArcFace

NUM_BINS = 201
SMOOTHED = 5
TAIL = 0.005
NEIGHBOURS = ((1, 0), (2, 0), (3, 1), (4, 2), (5, 3))
"""By how many samples, of the mean, a local maximum must exceed the bins at these distances."""


class NoiseTolerant(ArcFace):
    """Samples count as their place among all cosines deserves."""

    class Options(ArcFace.Options):
        """Options of the Noise-Tolerant Paradigm."""

        window: int = Field(default=1000, ge=1, le=100_000, description="Batches the histogram spans.")
        applied_to: Literal["loss", "logits"] = Field(default="loss", description="What a sample's weight multiplies.")

    options: Options
    histograms: Tensor
    num_batches: Tensor
    markers: Tensor
    noise_ratio: Tensor
    skips: Tensor

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.register_buffer("histograms", torch.zeros(self.options.window, NUM_BINS, dtype=torch.int32))
        self.register_buffer("num_batches", torch.zeros(1, dtype=torch.int64))
        self.register_buffer("markers", torch.full((4,), -1))
        self.register_buffer("noise_ratio", torch.zeros(()))
        self.register_buffer("skips", torch.zeros((), dtype=torch.bool))

    def update(self, rows: MethodRows) -> None:
        """Put the batch in the place of the oldest in the histogram, and move the markers."""
        batch = torch.zeros_like(self.histograms[:1])
        bins = _bins(rows.cosine_label)
        batch.index_put_((torch.zeros_like(bins), bins), batch.new_ones(len(bins)), accumulate=True)
        self.histograms.index_copy_(0, self.num_batches % self.options.window, batch)
        self.num_batches += 1
        found, distribution = _find_markers(_smooth(self.histograms.sum(dim=0)))
        left, left_top, _, right = found
        full = self.num_batches[0] >= self.options.window
        self.skips.copy_(full & (left >= right))
        moved = torch.where(self.markers < 0, found, self.markers + (found - self.markers).sign())
        self.markers.copy_(torch.where(full & (left < right), moved, self.markers))
        left_top = self.markers[1]
        is_left = full & (left_top < (left + right) // 2)
        at_top = distribution.gather(0, left_top.clamp(min=0)[None])[0]
        self.noise_ratio.copy_(torch.where(is_left, 2 * at_top, 0.0))

    def weights(self, rows: MethodRows) -> Tensor | None:
        """The weight of each sample, where it is on the loss."""
        return self._weights(rows) if self.training and self.options.applied_to == "loss" else None

    def row_scale(self, rows: MethodRows) -> Tensor | float:
        """The scale, times the weight of each sample where that is on the logits."""
        if self.training and self.options.applied_to == "logits":
            return self.options.scale * self._weights(rows)
        return self.options.scale

    def _weights(self, rows: MethodRows) -> Tensor:
        cosines = rows.cosine_label
        at, (left, left_top, right_top, right) = _bins(cosines).to(cosines), self.markers.to(cosines)
        easy = F.softplus(10 * (at - left_top) / (right - left_top).clamp(min=1)) / math.log1p(math.exp(10))
        side = torch.where(at > right_top, right - right_top, right_top - left).clamp(min=1)  # a bin: no 0 / 0
        semi_hard = torch.exp(-(((at - right_top) * 2.576 / side) ** 2) / 2)
        progress = (2 * right / (NUM_BINS - 1) - 1).clamp(0, 1)
        beta = 2 - torch.sigmoid(20 * progress - 5) - torch.sigmoid(15 - 20 * progress)
        ends = (progress < 0.5) + (progress > 0.5) * semi_hard
        weights = beta * ends + (1 - beta) * easy.clamp(max=1)
        return torch.where(self.markers[0] < 0, 1.0, weights) * ~self.skips


def _bins(cosines: Tensor) -> Tensor:
    """Bin of each cosine, int64."""
    return ((cosines + 1) * ((NUM_BINS - 1) / 2)).to(torch.int64).clamp(0, NUM_BINS - 1)


def _smooth(histogram: Tensor) -> Tensor:
    """The sum over neighbouring bins, int64 so that ties are exact; 0 where they are not complete."""
    margin = SMOOTHED // 2
    return F.pad(histogram.unfold(0, SMOOTHED, 1).sum(dim=1), (margin, margin))


def _find_markers(smooth: Tensor) -> tuple[Tensor, Tensor]:
    """L, lt, rt, r as int64 [4], and the distribution function [bins]."""
    bins = torch.arange(NUM_BINS, device=smooth.device)
    distribution = smooth.cumsum(0) / smooth.sum()
    left, right = (distribution < TAIL).sum(), (distribution <= 1 - TAIL).sum() - 1
    middle, top = (left + right) // 2, smooth.argmax()
    is_local = (bins >= left) & (bins <= right)
    for distance, excess in NEIGHBOURS:
        around = F.pad(smooth, (distance, distance), value=torch.iinfo(torch.int32).max)
        for neighbour in (around[: -2 * distance], around[2 * distance :]):
            is_local &= (smooth >= neighbour) if distance == 1 else (smooth > neighbour + SMOOTHED * excess)
    none = ~is_local.any()
    first = torch.where(none, top, torch.where(is_local, bins, NUM_BINS).min())
    last = torch.where(none, top, torch.where(is_local, bins, -1).max())
    left_top = torch.where(top < middle, top, torch.minimum(first, middle))
    right_top = torch.where(top < middle, torch.maximum(last, middle), top)
    return torch.stack([left, left_top, right_top, right]), distribution
