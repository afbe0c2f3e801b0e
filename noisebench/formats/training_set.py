"""What training reads, whatever it is stored as: images with keys and identities."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from noisebench.errors import FileError
from noisebench.formats.jpeg import Encoded, Image, ImageError, decode, decode_batch, resized


class TrainingSet(ABC):
    """Images and their identities. Reading is thread-safe.

    Attributes:
        folder: Where the set is; several with commas between them where it is joined from several.
        keys: int64 [N], a number of each image that no other of the set has.
        labels: int32 [N], their identities, from 0 to ``num_classes`` - 1.
        num_classes: How many identities there are.
        image_size: Height and width of every image.
    """

    folder: Path
    keys: NDArray[np.int64]
    labels: NDArray[np.int32]
    num_classes: int
    image_size: tuple[int, int]

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """SHA-256 in hexadecimal over what makes the set this set and no other, the images' own bytes excepted."""

    @abstractmethod
    def jpeg(self, key: int) -> Encoded:
        """The encoded image of a key.

        Raises:
            FileError: There is none, or it cannot be read.
        """

    @abstractmethod
    def fault(self, key: int, problem: str) -> FileError:
        """An error that names the file of an image."""

    @abstractmethod
    def check_labels(self, progress: Callable[[int], object] | None = None) -> None:
        """Make sure that the images are of the identities that ``labels`` says, as far as that is stored twice.

        Args:
            progress: Called now and then with the number of images checked since the last call.

        Raises:
            FileError: One is not.
        """

    def decode(self, encoded: Encoded) -> Image:
        """An encoded image as RGB, uint8 [H, W, 3].

        Raises:
            ImageError: It cannot be decoded.
        """
        return decode(encoded)

    def image(self, key: int) -> Image:
        """The image of a key: RGB, uint8 [H, W, 3].

        Raises:
            FileError: As ``jpeg``, or the image cannot be decoded.
        """
        try:
            return self.decode(self.jpeg(key))
        except ImageError as error:
            raise self._unusable(key, error) from error

    def read_images(self, keys: Sequence[int], out: Image, threads: int = 1, *, resize: bool = False) -> None:
        """Read and decode a batch straight into ``out``, uint8 [B, H, W, 3] RGB.

        Args:
            keys: The images' keys, [B].
            out: Where the pixels go.
            threads: How many threads decode.
            resize: Bring images of another size to that of ``out``, see ``jpeg.resized``, instead of refusing them.

        Raises:
            FileError: As ``image``, or an image is not of the size of ``out``.
        """
        encoded = [self.jpeg(key) for key in keys]
        decoder = resized(self.decode, *out.shape[1:3]) if resize else self.decode
        try:
            decode_batch(encoded, out, threads, decoder)
        except ImageError as error:
            raise self._unusable(keys[error.position], error) from error

    def _unusable(self, key: int, error: ImageError) -> FileError:
        return self.fault(key, f"the image is unusable: {error}")
