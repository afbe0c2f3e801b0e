"""What a file or folder is: a data set, a RecordIO file, its index, a noise manifest, or a verification set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noisebench.errors import FileError
from noisebench.formats import verification_bin
from noisebench.formats.data_source import folders, open_data
from noisebench.formats.face_set import FaceSet
from noisebench.formats.jpeg import ImageError, size_of
from noisebench.formats.record_index import RecordIndex
from noisebench.formats.recordio import RecordReader
from noisebench.noise.manifest import Manifest


@dataclass(frozen=True)
class Info:
    """What something on the disk is. ``str(info)`` is the text to print.

    Attributes:
        path: Where it is.
        kind: What it is, in words.
        facts: What there is to say of it, by name, as values that JSON can hold.
    """

    path: Path
    kind: str
    facts: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Everything as values that JSON can hold."""
        return {"path": str(self.path), "kind": self.kind, **self.facts}

    def __str__(self) -> str:
        width = max(map(len, self.facts))
        lines = [f"{name.replace('_', ' '):<{width}}  {_text(value)}" for name, value in self.facts.items()]
        return "\n".join([f"{self.path}: {self.kind}", "", *lines])


def describe(path: Path) -> Info:
    """Tell what is at a path. Nothing is decoded, and of a large set only the index and the labels are read.

    Raises:
        FileError: There is nothing, nothing that noisebench reads, or it is damaged.
    """
    if path.is_dir() or len(folders(path)) > 1:
        return _data_set(path)
    if not path.exists():
        raise FileError(path, "no such file or folder")
    describer = _BY_ENDING.get(path.suffix)
    if describer is None:
        known = ", ".join(_BY_ENDING)
        raise FileError(path, f"expected a data set's folder or a file that ends with one of {known}")
    return describer(path)


def _data_set(source: Path) -> Info:
    faces = open_data(source)
    images = np.bincount(faces.labels, minlength=faces.num_classes)
    facts = {
        "images": len(faces.keys),
        "identities": faces.num_classes,
        "identities_without_images": int((images == 0).sum()),
        "images_per_identity": _spread(images),
        "image_size": list(faces.image_size),
    }
    if not isinstance(faces, FaceSet):
        kind = "folder of images" if source.is_dir() else "several data sets as one"
        return Info(source, kind, facts | {"fingerprint": faces.fingerprint})
    return Info(
        source,
        f"face set in the {faces.layout} layout",
        facts
        | {
            "bytes": faces.records.num_bytes,
            "outlier_set": (source / "outliers").is_dir(),
            "verification_sets": [file.stem for file in sorted(source.glob("*.bin"))],
            "fingerprint": faces.fingerprint,
        },
    )


def _records(rec: Path) -> Info:
    records = RecordReader(rec)
    has_image = records.read_labels(records.keys).has_image
    return Info(
        rec,
        "RecordIO file",
        {"bytes": records.num_bytes, "index": str(records.index.path), **_keys(records.index)}
        | {"with_an_image": int(has_image.sum()), "checksums": records.sums is not None},
    )


def _index(idx: Path) -> Info:
    return Info(idx, "index of a RecordIO file", {"bytes": idx.stat().st_size, **_keys(RecordIndex.read(idx))})


def _manifest(file: Path) -> Info:
    manifest = Manifest.read(file)
    metadata = manifest.metadata()
    return Info(
        file,
        "noise manifest",
        {
            "recipe": metadata.recipe.name,
            "seed": metadata.seed,
            "images": len(manifest),
            "identities": metadata.num_classes,
            "classes_to_train": manifest.num_train_classes,
            **{f"{kind}_images": count for kind, count in metadata.realised.model_dump().items()},
            "bytes": file.stat().st_size,
            "made_by": f"noisebench {metadata.tool_version}",
            "fingerprints": {name: value for name, value in metadata.fingerprints if value is not None},
            "checksum": metadata.checksum,
        },
    )


def _verification_set(file: Path) -> Info:
    pairs = verification_bin.read(file)
    try:
        image_size = list(size_of(pairs.jpegs[0]))
    except ImageError as error:
        raise FileError(file, f"image 0 is unusable: {error}") from error
    return Info(
        file,
        "verification set",
        {
            "pairs": len(pairs.same),
            "of_one_identity": int(pairs.same.sum()),
            "image_size": image_size,
            "bytes": file.stat().st_size,
            "sha256": pairs.sha256,
        },
    )


_BY_ENDING: dict[str, Callable[[Path], Info]] = {
    ".rec": _records,
    ".idx": _index,
    ".parquet": _manifest,
    ".bin": _verification_set,
}


def _keys(index: RecordIndex) -> dict[str, Any]:
    return {"records": len(index.keys), "keys": {"min": int(index.keys.min()), "max": int(index.keys.max())}}


def _spread(numbers: NDArray[np.int64]) -> dict[str, float]:
    return {"min": int(numbers.min()), "median": float(np.median(numbers)), "max": int(numbers.max())}


def _text(value: object) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case dict():
            return ", ".join(f"{name} {_text(part)}" for name, part in value.items())
        case [int(height), int(width)]:
            return f"{height} x {width}"
        case list():
            return ", ".join(map(_text, value)) or "none"
        case float():
            return f"{value:g}"
    return str(value)
