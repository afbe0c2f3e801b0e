"""Faces cut out by five landmarks: by the similarity transform that is nearest to ArcFace's template."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from noisebench.errors import UserError
from noisebench.formats.jpeg import Image

ALIGNED_SIDE = 112
TEMPLATE = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)
"""Where eyes, nose and corners of the mouth are to come to lie, x and y, in an image of 112x112."""


def align(image: Image, landmarks: NDArray[np.float64]) -> Image:
    """Cut out a face, uint8 [112, 112, 3]; what lies outside of the image is black.

    Args:
        image: uint8 [H, W, 3].
        landmarks: float64 [5, 2], x and y in pixels.

    Raises:
        UserError: The landmarks are all in one place.
    """
    matrix = similarity_transform(landmarks)
    return np.asarray(cv2.warpAffine(image, matrix, (ALIGNED_SIDE, ALIGNED_SIDE), borderValue=0.0), np.uint8)


def similarity_transform(landmarks: NDArray[np.float64]) -> NDArray[np.float64]:
    """The rotation, scale and shift [2, 3] that takes landmarks [5, 2] nearest to the template, by least squares.

    In complex numbers a similarity is z -> a z + b, so that a is a regression coefficient (Umeyama 1991 in the plane).

    Raises:
        UserError: The landmarks are all in one place.
    """
    found, wanted = (points[:, 0] + 1j * points[:, 1] for points in (landmarks, TEMPLATE))
    centred = found - found.mean()
    spread = float(np.vdot(centred, centred).real)
    if spread == 0:
        raise UserError("the five landmarks are all in one place")
    a = np.vdot(centred, wanted) / spread
    b = wanted.mean() - a * found.mean()
    return np.array([[a.real, -a.imag, b.real], [a.imag, a.real, b.imag]])
