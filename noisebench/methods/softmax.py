"""Softmax on cosines, the baseline without a margin.

Paper: Wang et al., "NormFace: L2 Hypersphere Embedding for Face Verification", ACM MM 2017, arXiv 1704.06369.

Formula, with θ_j the angle between embedding and centre of class j, and y the label:

    z_j = s · cos θ_j, for the label as for all others

Defaults: scale s = 64, as in insightface's "nsoftmax". NormFace fine-tuned a trained network and could learn s; here s
is fixed and training starts from scratch, so that nothing but the margin sets this baseline apart from other methods.

Variants: the field also calls softmax what has logits W_j · x + b_j, of raw inner products with a bias. It is another
method, and no margin softmax of this suite can express it: all compare directions, without lengths and biases.
"""

from __future__ import annotations

from noisebench.heads.margin_softmax import MarginSoftmax


class Softmax(MarginSoftmax):
    """Cross-entropy over scaled cosines, as they are."""
