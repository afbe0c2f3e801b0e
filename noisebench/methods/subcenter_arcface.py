"""Sub-center ArcFace: ArcFace with several centres a class, so that noise may gather around one of its own.

Paper: Deng et al., "Sub-center ArcFace: Boosting Face Recognition by Large-scale Noisy Web Faces", ECCV 2020.

Formula, with W_j1 ... W_jK the centres of class j, θ_jk the angle between embedding and W_jk, and y the label:

    cos θ_j = max over k of cos θ_jk
    z_y = s · cos(θ_y + m)                           with ArcFace's fallback beyond π
    z_j = s · cos θ_j,  j ≠ y

A gradient reaches only the nearest sub-centre of each class. The one most samples of a class are nearest to is its
dominant one: ``sub_centre_counts`` [C, K] counts an epoch's samples, as labelled, by sub-centre, and
``dominant_sub_centres()`` is what it says. The centre log follows the dominant one.

Defaults: K = 3, s = 64, m = 0.5 (paper, official code). The paper finds K = 10 to fail.

Paper and code: the official MXNet code has no fallback: ``variant="mxnet"``. The paper's second round (drop the images
further than 75 degrees from the dominant centre, then train ArcFace with K = 1 from scratch) is no part of the loss.

Variants: those of `arcface`. Every margin softmax of this suite takes ``sub_centres``; this file is ArcFace with 3.
"""

from __future__ import annotations

from pydantic import Field

from noisebench.methods.arcface import ArcFace


class SubcenterArcFace(ArcFace):
    """The label's nearest sub-centre must win by a margin."""

    class Options(ArcFace.Options):
        """Options of Sub-center ArcFace."""

        sub_centres: int = Field(default=3, ge=1, description="K, centres a class; the nearest of them counts.")

    options: Options
