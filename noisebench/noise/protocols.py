"""Noise protocols of installed packages: for noise that a recipe's rates and rules cannot say.

A package offers a subclass of `NoiseProtocol` by an entry point of the group ``noisebench.noise``; a recipe names it::

    protocol:
      name: my_noise
      options: {rate: 0.2}
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError

from noisebench.config import Settings, explain
from noisebench.errors import UserError
from noisebench.plugins import Group, is_subclass


class Noise(NamedTuple):
    """What is done to each image of a data set.

    Attributes:
        kind: Codes into ``noisebench.noise.schema.KINDS``, int8 [N]. An image whose code is OPEN is replaced by one of
            the outlier set.
        label: Labels to train with, int32 [N]: the data set's for clean images, others for those that are CLOSED.
    """

    kind: NDArray[np.int8]
    label: NDArray[np.int32]


class NoiseProtocol(Settings, ABC):
    """What is done to each image, as a function of the data set, the seed and the options, which are the fields.

    It draws by `noisebench.noise.counter`, not by a generator, so that the same comes of it on every machine.

    Attributes:
        needs_outliers: Whether images are replaced by those of an outlier set.
    """

    needs_outliers: ClassVar[bool] = False

    @abstractmethod
    def noise(self, keys: NDArray[np.int64], labels: NDArray[np.int32], num_classes: int, seed: int) -> Noise:
        """What is done to each image.

        Args:
            keys: Record keys of the data set, int64 [N], in record order.
            labels: True labels, int32 [N].
            num_classes: Number of identities.
            seed: Noise seed.

        Raises:
            UserError: There can be no such noise in this data set.
        """


class ChosenProtocol(Settings):
    """A protocol as a recipe names it. It can be read where the package is not installed."""

    name: str = Field(description="Of the entry point.")
    options: dict[str, Any] = Field(default={}, description="The protocol's own.")

    def create(self) -> NoiseProtocol:
        """The protocol with its options.

        Raises:
            UserError: The protocol or an option is unknown (the nearest is named), or a value is outside its range.
        """
        found = PLUGINS.load(self.name)
        try:
            return found.model_validate(self.options)
        except ValidationError as error:
            raise UserError(f"options of noise protocol '{self.name}': {explain(error, found)}") from error

    def resolved(self) -> ChosenProtocol:
        """The same with all options as plain values, defaults filled in.

        Raises:
            UserError: As `create`.
        """
        return ChosenProtocol(name=self.name, options=self.create().model_dump(mode="json"))

    def noise(self, keys: NDArray[np.int64], labels: NDArray[np.int32], num_classes: int, seed: int) -> Noise:
        """What the protocol does to each image; see `NoiseProtocol.noise`.

        Raises:
            UserError: As `create`; or the protocol does not answer with a kind and a label for each image.
        """
        kind, label = self.create().noise(keys, labels, num_classes, seed)
        for what, found, dtype in (("kind", kind, np.int8), ("label", label, np.int32)):
            if found.shape != keys.shape or found.dtype != dtype:
                raise UserError(
                    f"noise protocol '{self.name}' gives {what} as {found.dtype} of shape {list(found.shape)}: "
                    f"expected {np.dtype(dtype)} of shape [{len(keys)}]"
                )
        return Noise(kind, label)


def descriptions() -> dict[str, str]:
    """What each protocol is, in one line, by its name."""
    return {name: PLUGINS.describe(name) for name in PLUGINS.names()}


PLUGINS: Group[type[NoiseProtocol]] = Group(
    kind="noise protocol",
    name="noisebench.noise",
    expected="a subclass of noisebench.noise.protocols.NoiseProtocol",
    fits=lambda found: is_subclass(found, NoiseProtocol),
    own_names=tuple,
)
"""The protocols of installed packages; noisebench's own are the rules of `noisebench.noise.recipe`."""
