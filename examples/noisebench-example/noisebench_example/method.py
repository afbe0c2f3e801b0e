"""ExampleAngles: a softmax on angles in place of their cosines, with a margin on the label's.

Paper: none is followed to the letter; Li-ArcFace has such logits (Li et al., "AirFace", ICCV Workshops 2019,
arXiv 1907.12256).

Formula, with θ_j the angle between embedding and centre of class j, and y the label:

    z_y = s · (1 - 2 · (θ_y + m) / π)
    z_j = s · (1 - 2 · θ_j / π),  j ≠ y

Defaults: s = 64, as for every method; m = 0.4, chosen for this example.
"""

from __future__ import annotations

import math

from pydantic import Field
from torch import Tensor

from noisebench.heads.angular import angle_of
from noisebench.heads.margin_softmax import MarginSoftmax
from noisebench.heads.rows import MethodRows


class ExampleAngles(MarginSoftmax):
    """Example: the label's angle must win by a margin, and every degree counts alike."""

    class Options(MarginSoftmax.Options):
        """Options of ExampleAngles."""

        margin: float = Field(default=0.4, ge=0, lt=math.pi, description="m, in radians.")

    options: Options

    def target(self, label_cosine: Tensor, rows: MethodRows) -> Tensor:
        """1 - 2 · (θ_y + m) / π."""
        return 1 - 2 / math.pi * (angle_of(label_cosine) + self.options.margin)

    def others(self, cosines: Tensor, label_cosine: Tensor, rows: MethodRows) -> Tensor:
        """1 - 2 · θ_j / π."""
        return 1 - 2 / math.pi * angle_of(cosines)
