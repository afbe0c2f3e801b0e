"""A manifest's columns made again from what it says it was made from, as far as that is at hand."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from datasets_tools import known_noise
from datasets_tools.exclusion import Exclusion
from datasets_tools.known_list import KnownList
from datasets_tools.make_noise import image_sources, kinds, noise
from datasets_tools.neighbours import Neighbours
from noisebench.noise import protocols
from noisebench.noise.manifest import ImageSet, Manifest
from noisebench.noise.schema import Origin


@dataclass(frozen=True)
class Files:
    """The files besides the data sets that noise may follow, where they are given: SHA-256s are compared.

    Attributes:
        neighbours: Follows a file of class centres.
        exclusion: A list of identities of the outlier set.
        known: A list of what is known of a real set's noise.
    """

    neighbours: Neighbours | None = None
    exclusion: Exclusion | None = None
    known: KnownList | None = None

    def missing(self, origin: Origin) -> Iterator[str]:
        """A sentence for each part of a manifest that follows a file that is not given, or a package not installed."""
        for part, option, recorded, given in self._parts(origin):
            if recorded is not None and given is None:
                yield f"{part}, without the file that says so: name it with {option}"
        if origin.plugin is not None and not _is_installed(origin):
            package = f"{origin.plugin.package} {origin.plugin.version}"
            yield f"what the noise protocol '{origin.plugin.name}' makes, without its package: install {package}"

    def differences(self, origin: Origin) -> Iterator[str]:
        """A sentence for each file that is not the one that a manifest follows."""
        for part, option, recorded, given in self._parts(origin):
            if given is not None and given != recorded:
                follows = f"another file: SHA-256 {given}, expected {recorded}" if recorded else "no such file"
                yield f"{part}: the manifest follows {follows} ({option})"

    def columns(self, manifest: Manifest, outliers: ImageSet | None) -> dict[str, NDArray[Any]]:
        """The columns that can be made again, by name, [N] each.

        Args:
            manifest: Gives the recipe, the seed, the record keys and the base set's labels.
            outliers: The outlier set; without it, no image's source is made again.

        Raises:
            UserError: The noise cannot be made with this data.
        """
        origin = manifest.origin
        if origin.cleaned is not None or not _is_installed(origin):  # nor can what a run said of the images
            return {}
        usable = {option for _, option, recorded, given in self._parts(origin) if recorded == given}
        keys, labels, num_classes = manifest.index, manifest.base_label, origin.num_classes
        if origin.known is not None:
            if self.known is None or "--known" not in usable:
                return {}
            true_label, kind = known_noise.truth(self.known, keys, labels, num_classes, origin.known.others)
            return {"true_label": true_label, "kind": kind}
        made = (origin.recipe, keys, labels, num_classes, origin.seed)
        columns: dict[str, NDArray[Any]]
        columns = noise(*made, self.neighbours)._asdict() if "--centres" in usable else {"kind": kinds(*made)}
        if outliers is not None and "--exclude" in usable:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # of outliers used again: said when the noise was made
                images = image_sources(
                    origin.recipe, columns["kind"], keys, labels, outliers, origin.seed, self.exclusion
                )
            columns |= dict(zip(("source", "source_index", "source_label"), images, strict=True))
        return columns

    def _parts(self, origin: Origin) -> Iterator[tuple[str, str, str | None, str | None]]:
        """What follows a file, the option that names the file, the SHA-256 that is recorded and that of the given."""
        centres, excluded, known = origin.fingerprints.centres, origin.excluded, origin.known
        yield "the labels of hard flips", "--centres", centres, self.neighbours.sha256 if self.neighbours else None
        yield (
            "which outlier replaces which image",
            "--exclude",
            excluded.sha256 if excluded else None,
            self.exclusion.sha256 if self.exclusion else None,
        )
        yield (
            "which images are noise",
            "--known",
            known.sha256 if known else None,
            self.known.sha256 if self.known else None,
        )


def _is_installed(origin: Origin) -> bool:
    """Whether the recipe's protocol, if it has one, can be asked again."""
    return origin.recipe.protocol is None or origin.recipe.protocol.name in protocols.PLUGINS.names()
